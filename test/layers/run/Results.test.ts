import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Runtime } from "effect"
import * as Results from "../../../src/layers/run/Results.ts"

const result: Results.Result = {
  verb: "knn",
  network: "pretrain",
  split: "val",
  images: 12,
  classes: 3,
  top1: 0.5,
  interval: [0.2538, 0.7462],
  largestClass: 1 / 3,
  digests: { weights: "a", train: "b", images: "c" },
  settings: { config: { neighbours: 10 } },
  computedOn: { engine: "onnx cpu", version: "1", threads: 1, precision: "fp32" },
  patchword: "0"
}

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

describe("results", () => {
  it.effect("stand beside each other under other settings, once under the same, and come back as they were", () =>
    Effect.gen(function*() {
      const run = yield* folder
      const other = { ...result, settings: { config: { neighbours: 1 } } }
      const slow = { ...result, computedOn: { ...result.computedOn, threads: 2 } }
      const files = yield* Results.save(run, [result, other, slow, result, { ...result, split: "../a b" }])
      assert.deepStrictEqual(files[3], files[0])
      assert.strictEqual(new Set(files).size, 4)
      assert.isTrue(files.every((file) => file.startsWith(`${run}/results/knn-`)), files.join(" "))
      const read = yield* Results.read(run)
      assert.strictEqual(read.length, 4)
      for (const one of [result, other, slow]) assert.deepInclude(read, one)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("that a dead writer began are swept, and damaged ones are named", () =>
    Effect.gen(function*() {
      const run = yield* folder
      const fs = yield* FileSystem.FileSystem
      assert.deepStrictEqual(yield* Results.read(run), [])
      const [file] = yield* Results.save(run, [result])
      yield* fs.writeFileString(`${run}/results/.tmp-999999999-0-knn.json`, "{")
      assert.deepStrictEqual(yield* Results.read(run), [result])
      yield* Results.save(run, [result])
      assert.deepStrictEqual(yield* fs.readDirectory(`${run}/results`), [file!.slice(`${run}/results/`.length)])
      for (const text of ["{", "[]", JSON.stringify({ ...result, top1: 7 })]) {
        yield* fs.writeFileString(file!, text)
        const error = yield* Effect.flip(Results.read(run))
        assert.include(error.message, `${file}: this is not a result of patchword`)
        assert.strictEqual(error[Runtime.errorExitCode], 65)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("belong to the run that a network is of", () =>
    Effect.gen(function*() {
      const run = yield* folder
      const fs = yield* FileSystem.FileSystem
      yield* fs.makeDirectory(`${run}/stages`)
      assert.deepStrictEqual(yield* Results.runOf(`${run}/pretrain`), Option.none())
      yield* fs.writeFileString(`${run}/config.json`, "{}")
      for (const network of ["", "/pretrain", "/stages/pretrain.safetensors"]) {
        assert.deepStrictEqual(yield* Results.runOf(`${run}${network}`), Option.some(run), network)
      }
      assert.deepStrictEqual(yield* Results.runOf(`${run}/config.json/a/b/c`), Option.none())
    }).pipe(Effect.provide(NodeServices.layer)))
})
