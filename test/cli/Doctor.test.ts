import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Runtime } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { micro } from "../pipelines/kit.ts"
import { draw, found, hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-cli-doctor-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)

const { tokenizer: config } = micro()
const quantizer = Result.getOrThrow(Tokenizer.quantizer({ config }))
const sizes = Tokenizer.sizes(config, 8)
const { quantize } = Tokenizer.spec(sizes, quantizer) as { readonly quantize: object }

const kept = (run: string, counts: (code: number) => number) => {
  const arrays = Tree.leaves<HostTensor.Any>({ quantize: { ...quantize, ...quantizer.statistics } }).map((
    [name, { shape }]
  ) => {
    const value = (i: number) => name.endsWith("cluster_size") ? counts(i) : Math.sin(1 + 3 * i)
    const data = Float32Array.from({ length: HostTensor.size(shape) }, (_, i) => value(i))
    return [name, HostTensor.make(shape, "float32", data)]
  })
  const tensors = {
    ...Weights.flatten(Parameter.initialise(Vqkd.spec(sizes), 0)),
    ...Object.fromEntries(arrays)
  }
  mkdirSync(at(run, "stages"), { recursive: true })
  writeFileSync(at(run, "config.json"), "{}")
  const model = { _tag: "Tokenizer", config, teacherWidth: 8 } as const
  const made = { stage: "tokenizer", configDigest: "", dataDigest: "", step: 8, seed: 0, model }
  return Weights.write(at(run, "stages", "tokenizer.safetensors"), Weights.make(tensors, new Weights.Provenance(made)))
}

const codeOf = (error: unknown) => (error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode]

interface Report {
  readonly images?: { readonly images: number }
  readonly stages: ReadonlyArray<{
    readonly findings: ReadonlyArray<{ readonly illness: string }>
    readonly figures: ReadonlyArray<{ readonly name: string; readonly value: number; readonly on: string }>
  }>
}

describe("doctor", () => {
  beforeAll(async () => {
    await draw(at("images"))
    const both = Effect.andThen(kept("healthy", () => 8), kept("ill", (code) => code === 3 ? 128 : 0))
    await Effect.runPromise(Effect.provide(both, NodeServices.layer))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect("finds nothing in a healthy run", () =>
    Effect.gen(function*() {
      const text = yield* said("doctor", at("healthy"))
      assert.match(text, /^tokenizer, step 8: nothing is wrong\n/)
      assert.match(text, /\nused codes +100 % +at least \d+ % +healthy +the running counts in the weights\n/)
      assert.match(text, /\nnot measured: .*: these need images \(--images\)\n/)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("tells the cause of an illness, and ends with 1", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const error = yield* Effect.flip(said("doctor", at("ill"))).pipe(hearing(told))
      assert.strictEqual(codeOf(error), 1)
      assert.include(told.join("\n"), "tokenizer: most of the codebook is not used")
      const { stages } = JSON.parse(readFileSync(at("ill", "health.json"), "utf8")) as Report
      assert.deepStrictEqual(stages[0]!.findings.map(({ illness }) => illness), ["collapse"])
      const machine: Array<string> = []
      yield* Effect.flip(said("doctor", at("ill"), "--json")).pipe(hearing(machine))
      const { exitCode, tag } = JSON.parse(machine.at(-1)!)
      assert.deepStrictEqual([tag, exitCode], ["Ill", 1])
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("looks at images, at most as many as it may", () =>
    Effect.gen(function*() {
      const images = ["--images", at("images"), "--threads", "1", "--split", "val"]
      const report = (yield* Effect.catch(
        found("doctor", at("healthy"), ...images, "--most", "5"),
        () => Effect.sync(() => JSON.parse(readFileSync(at("healthy", "health.json"), "utf8")))
      )) as unknown as Report
      assert.strictEqual(report.images?.images, 5)
      const used = report.stages[0]!.figures.find(({ name }) => name === "usedShare")!
      assert.strictEqual(used.on, "5 images of val")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.effect("refuses a folder that is no run", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(said("doctor", at("images")))
      assert.strictEqual(codeOf(error), 66)
      assert.match((error as Error).message, /is not a run folder/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
