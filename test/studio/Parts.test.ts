import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path, Runtime } from "effect"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Files from "../../src/layers/files/Files.ts"
import * as Lock from "../../src/layers/files/Lock.ts"
import * as CompletionSample from "../../src/layers/run/CompletionSample.ts"
import * as Atlas from "../../src/pipelines/atlas/Atlas.ts"
import * as LookFolder from "../../src/pipelines/look/LookFolder.ts"
import * as Exported from "../../src/studio/Exported.ts"
import * as Inside from "../../src/studio/server/Inside.ts"
import { found, said } from "../cli/kit.ts"
import { atlas as sample, write } from "../e2e/atlasSample.ts"
import { makeRun } from "./kit.ts"

const picture = { width: 1, height: 1, data: new Uint8Array(3) }

const made = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* fs.makeTempDirectoryScoped()
  const run = yield* makeRun(path.join(root, "demo"))
  const at = (name: string) => path.join(run, name)
  yield* write(run, [49])
  for (const kind of ["attention", "pca"] as const) {
    const about = { kind, network: "pretrain", weights: "w", split: "val", images: "i" }
    yield* LookFolder.write(
      at(`look/${kind}-pretrain`),
      about,
      (put) => put({ name: `${kind} of a cat`, picture, maps: [{ title: "mean", picture }] })
    )
  }
  const png = Buffer.from("picture").toString("base64")
  for (const split of ["test", "val"]) {
    yield* CompletionSample.save(run, {
      split,
      images: 1,
      masked: 14,
      patches: 36,
      codeAccuracy: 0.25,
      methods: {},
      side: 48,
      shown: [{ name: `${split} cat`, original: png, decoded: png, masked: png, completed: png }]
    })
  }
  const problems = Effect.map(found("runs", "show", run), ({ problems }) => problems as ReadonlyArray<string>)
  return { fs, at, problems, pages: Exported.render([run]) }
})

describe("the parts of a run", () => {
  it.effect("are named where they are damaged, on the pages and by show, and the whole ones are shown", () =>
    Effect.gen(function*() {
      const { at, fs, pages, problems } = yield* made
      const lost = "is damaged (it is missing; it is the first of 2399 such files)"
      const before = yield* problems
      assert.deepStrictEqual([before.length, before[0]?.includes(lost)], [1, true])
      assert.include(yield* pages, lost)
      const arrays = at("atlas/codes.safetensors")
      yield* fs.writeFile(arrays, (yield* fs.readFile(arrays)).slice(0, -1))
      yield* fs.makeDirectory(at("samples"))
      const damaged = [
        "health.json",
        "look/pca-pretrain/look.json",
        "completion/test.json",
        "samples/pretrain.safetensors"
      ]
      for (const name of damaged) yield* fs.writeFileString(at(name), "{")
      const [told, page] = [(yield* problems).join("\n"), yield* pages]
      for (const name of ["codes.safetensors is damaged", ...damaged]) {
        assert.include(told, name)
        assert.include(page, name)
      }
      assert.strictEqual(told.split("\n").length, 5)
      for (const name of ["attention of a cat", "val cat"]) assert.include(page, name)
      for (const name of ["pca of a cat", "test cat"]) assert.notInclude(page, name)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("are told to be begun where an atlas is not finished, with the command that goes on", () =>
    Effect.gen(function*() {
      const { at, fs, pages, problems } = yield* made
      const told = Effect.gen(function*() {
        const inspected = yield* Effect.flip(said("inspect", at("atlas")))
        assert.strictEqual(inspected[Runtime.errorExitCode], 66)
        const [first] = yield* problems
        return [String(first), yield* pages, String(inspected)]
      })
      const [begun, again] = ["the atlas is not finished", "give the same command patchword atlas again to finish it"]
      yield* fs.remove(at("atlas/index.json"))
      for (const text of yield* told) {
        for (const part of [`${begun} (0 images are scanned)`, again]) assert.include(text, part)
      }
      const atlas = JSON.stringify({ identity: sample.index, scanned: 7, computedOn: [] })
      yield* fs.writeFile(at("atlas/scan.safetensors"), Safetensors.encode({}, { atlas }))
      for (const text of yield* told) {
        for (const part of [`${begun} (7 images are scanned)`, again]) assert.include(text, part)
      }
      yield* Lock.hold(yield* Files.make, at("atlas"))
      for (const text of yield* told) assert.include(text, "wait for the process that makes it now")
      assert.notInclude(yield* pages, "This run has no atlas")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("are named where a link leads out of the run folder", () =>
    Effect.gen(function*() {
      const { at, fs, pages, problems } = yield* made
      const outside = at("../outside.webp")
      const picture = (yield* fs.readDirectory(at("look/attention-pretrain"))).find((name) =>
        name.endsWith("-image.png")
      )
      const linked = ["atlas/thumbnails.bin", "atlas/patches/49.webp", `look/attention-pretrain/${picture}`]
      yield* fs.copyFile(at(linked[1]!), outside)
      for (const name of linked.slice(1)) {
        yield* fs.remove(at(name))
        yield* fs.symlink(outside, at(name))
      }
      const told = (name: string) => `${at(name)}: a link leads out of the run folder`
      const [second, third] = [told(linked[1]!), told(linked[2]!)]
      const named = (yield* problems).join("\n")
      const page = yield* pages
      assert.include(named, third)
      assert.include(page, third)
      assert.include(page, "pca of a cat")
      assert.notInclude(page, "attention of a cat")
      yield* fs.remove(at(linked[0]!))
      yield* fs.symlink(outside, at(linked[0]!))
      for (const text of [(yield* problems).join("\n"), yield* pages]) {
        assert.include(text, "it is the first of 2401 such files")
        assert.include(text, told(linked[0]!))
      }
      const { lost } = yield* Inside.within([at(".")])(Atlas.open(at(".")))
      assert.strictEqual(lost.get("patches/49.webp"), second)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
