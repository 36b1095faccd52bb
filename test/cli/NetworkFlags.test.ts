import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { type CodebookConfig, TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import type * as Network from "../../src/pipelines/trained/Network.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { classes, micro } from "../pipelines/kit.ts"
import { draw, found, hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-network-flags-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const run = at("run")
const plainly = ["--images", at("images"), "--split", "val", "--threads", "1"]

const { finetune, pretrain, tokenizer } = micro()

const initial = (spec: object) => Weights.flatten(Parameter.initialise(spec, 0))

const tokenizerOf = (codebook: Partial<CodebookConfig>): Network.Network => {
  const config = new TokenizerConfig({ ...tokenizer, codebook: { ...tokenizer.codebook, ...codebook } })
  const quantizer = Result.getOrThrow(Tokenizer.quantizer({ config }))
  const sizes = Tokenizer.sizes(config, 8)
  const { quantize } = Tokenizer.spec(sizes, quantizer) as { readonly quantize: object }
  const ones = Tree.leaves<HostTensor.Any>({ quantize }).map(([name, { shape }]) =>
    [name, HostTensor.make(shape, "float32", new Float32Array(HostTensor.size(shape)).fill(1))] as const
  )
  const tensors = { ...initial(Vqkd.spec(sizes)), ...Object.fromEntries(ones) }
  return { _tag: "Tokenizer", config, teacherWidth: 8, tensors }
}

const classifier: Network.Network = {
  _tag: "Classifier",
  config: finetune,
  classes,
  tensors: initial(Classifier.spec(finetune, classes.length))
}

const keep = (folder: string, stage: string, { tensors, ...model }: Network.Network) => {
  const made = { stage, configDigest: "", dataDigest: "", step: 1, seed: 0, model }
  const file = join(folder, "stages", `${stage}.safetensors`)
  return Effect.as(Weights.write(file, Weights.make(tensors, new Weights.Provenance(made))), file)
}

const keepAll = Effect.gen(function*() {
  yield* keep(run, "tokenizer", tokenizerOf({}))
  yield* keep(run, "pretrain", { _tag: "Backbone", ...Backbone.untrained(pretrain, 16) })
  yield* keep(run, "finetune", classifier)
  yield* keep(run, "finetune-random", classifier)
  yield* keep(at("tuned"), "finetune", classifier)
  yield* keep(at("tuned"), "finetune-random", classifier)
  yield* keep(at("two"), "first", classifier)
  yield* keep(at("two"), "first-random", classifier)
  yield* keep(at("two"), "second", classifier)
})

const quantizers = [
  [{ revival: null }, "moving average, 8 channels, decay 0.99, begins with k-means, no revival"],
  [
    { kmeans: false, revival: { threshold: 0.1 } },
    "moving average, 8 channels, decay 0.99, begins with random directions, revival below 0.1"
  ],
  [
    { decay: null, revival: null, quantizer: { kind: "gradient", commitment: 0.25 } },
    "learned by gradient, 8 channels, commitment 0.25, begins with k-means"
  ],
  [
    {
      decay: null,
      revival: null,
      kmeans: false,
      size: 16,
      dim: 2,
      quantizer: { kind: "finiteScalar", levels: [4, 4] }
    },
    "finite scalars, levels 4 x 4"
  ]
] as const

describe("a network that a command line names", () => {
  beforeAll(async () => {
    await draw(at("images"))
    await Effect.runPromise(Effect.provide(keepAll, NodeServices.layer))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live.each(
    [
      [["predict", run, ...plainly, "--json"], "finetune", "finetune, finetune-random"],
      [["encode", run, ...plainly], undefined, ""],
      [["features", at("tuned"), ...plainly], "finetune", "finetune, finetune-random"],
      [
        ["export", run, "--what", "codes", "--out", at("codes.onnx")],
        "tokenizer",
        "finetune, finetune-random, pretrain, tokenizer"
      ],
      [
        ["export", run, "--what", "logits", "--out", at("logits.onnx")],
        "finetune",
        "finetune, finetune-random, pretrain, tokenizer"
      ],
      [["predict", `${run}/finetune-random`, ...plainly, "--json"], undefined, ""]
    ] as const
  )("is the obvious one of its run: %s", ([args, stage, stages]) =>
    Effect.gen(function*() {
      const told: Array<string> = []
      yield* said(...args).pipe(hearing(told))
      const [, given] = args
      assert.deepStrictEqual(
        told.filter((line) => line.startsWith("stage: ")),
        stage === undefined
          ? []
          : [`stage: ${stage} of ${given}, which holds ${stages}; name another as ${given}/STAGE`]
      )
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("is asked for where none is obvious", () =>
    Effect.gen(function*() {
      const several = yield* Effect.flip(said("predict", at("two"), ...plainly))
      assert.match(String(several), /more than one classifier; name one: RUN\/first, RUN\/first-random or RUN\/second/)
      const mixed = yield* Effect.flip(said("features", run, ...plainly))
      assert.match(String(mixed), /more than one network; name one: RUN\/finetune/)
      const none = yield* Effect.flip(said("export", at("tuned"), "--what", "codes", "--out", at("x.onnx")))
      assert.match(String(none), /holds no tokenizer \(it holds finetune, finetune-random\)/)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("is inspected as RUN/STAGE", () =>
    Effect.gen(function*() {
      const file = join(run, "stages", "pretrain.safetensors")
      assert.deepStrictEqual(yield* found("inspect", `${run}/pretrain`), yield* found("inspect", file))
      mkdirSync(at("pretrain"))
      assert.match(String(yield* Effect.flip(said("inspect", at("pretrain")))), /this folder is no run/)
      assert.match(String(yield* Effect.flip(said("inspect", `${run}/other`))), /other: there is no such file/)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect.each(quantizers)("is inspected with its quantizer: %s", ([codebook, expected]) =>
    Effect.gen(function*() {
      const file = yield* keep(at(expected), "tokenizer", tokenizerOf(codebook))
      const shown = yield* said("inspect", file)
      assert.include(shown.split("\n"), `quantizer      ${expected}`)
    }).pipe(Effect.provide(NodeServices.layer)))
})
