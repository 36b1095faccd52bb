import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { stringify } from "yaml"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import * as ModelFolder from "../../src/pipelines/artifacts/ModelFolder.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { classes, micro } from "../pipelines/kit.ts"
import { draw, found, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-hub-folders-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const config = at("micro.yaml")
const preset = micro({ duration: 2, warmup: 1 })
const pictures = ["--images", at("images"), "--threads", "1"]

const tensors = (file: string) => Result.getOrThrow(Safetensors.decode(readFileSync(file))).tensors

const made = Effect.gen(function*() {
  const write = (name: string, network: Parameters<typeof ModelFolder.write>[1]) =>
    ModelFolder.write(at(name), network, { name })
  const sizes = Tokenizer.sizes(preset.tokenizer, 8)
  const weight = HostTensor.make(
    [sizes.codes, sizes.codeWidth],
    "float32",
    Float32Array.from({ length: 128 }, (_, i) => Math.sin(i))
  )
  const parameters = Parameter.initialise(Vqkd.spec(sizes), 1)
  yield* write("backbone", { _tag: "Backbone", ...Backbone.untrained(preset.pretrain, 16) })
  yield* write("tokenizer", {
    _tag: "Tokenizer",
    config: preset.tokenizer,
    teacherWidth: 8,
    tensors: Weights.flatten({ ...parameters, quantize: { embedding: { weight } } })
  })
  yield* write("classifier", {
    _tag: "Classifier",
    config: preset.finetune,
    classes,
    tensors: Weights.flatten(Parameter.initialise(Classifier.spec(preset.finetune, 3), 1))
  })
})

describe("folders of the Hub", () => {
  beforeAll(async () => {
    writeFileSync(config, stringify(Schema.encodeSync(Schema.toCodecJson(Preset))(preset)))
    await draw(at("images"))
    await Effect.runPromise(Effect.provide(made, NodeServices.layer))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live(
    "are taken by every verb",
    () =>
      Effect.gen(function*() {
        for (const kind of ["backbone", "classifier", "tokenizer"]) {
          const out = at(`${kind}.safetensors`)
          yield* found("features", at(kind), "--split", "val", ...pictures, "--out", out)
          assert.deepStrictEqual(tensors(out).features!.shape, [12, 16])
          const seen = yield* found("inspect", at(kind))
          assert.strictEqual(seen.kind, "HubFolder")
          assert.match(yield* said("inspect", at(kind)), new RegExp(`is +${kind}`))
          const probed = yield* found("probe", at(kind), "--config", config, ...pictures, "--tests", "val")
          assert.include(JSON.stringify(probed), "\"val\"")
          yield* found("knn", at(kind), "--config", config, ...pictures, "--tests", "val")
        }
        yield* found("encode", at("tokenizer"), "--split", "val", ...pictures, "--out", at("codes.safetensors"))
        assert.deepStrictEqual(tensors(at("codes.safetensors")).codes!.shape, [12, 16])
        for (
          const [kind, what] of [["tokenizer", "codes"], ["backbone", "features"], ["classifier", "logits"]] as const
        ) {
          yield* found("export", at(kind), "--what", what, "--out", at(`${what}.onnx`))
        }
        for (const from of ["backbone", "classifier", "classifier/model.safetensors"]) {
          const out = at("tuned", from.replace("/", "-"))
          const tuned = yield* found("finetune", "--from", at(from), "--config", config, ...pictures, "--out", out)
          assert.strictEqual(tuned.stage, "finetune")
        }
        const refused = yield* Effect.flip(
          said("features", at("classifier"), "--pooling", "cls", ...pictures, "--out", at("none.safetensors"))
        )
        assert.include(String(refused), "a classifier of mean tokens has no norm for it")
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )
})
