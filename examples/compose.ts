import { Effect, Layer } from "effect"
import { Presets } from "patchword/domain"
import { Engine, Images, Runs, Teacher } from "patchword/layers"
import { pretrain, probe, trainTokenizer } from "patchword/pipelines"

const { pretrain: mim, probe: linear, tokenizer: vqkd } = Presets.tiny

const program = Effect.gen(function*() {
  const tokenizer = yield* trainTokenizer(vqkd)
  const backbone = yield* pretrain(mim, tokenizer)
  return yield* probe(linear, backbone, { train: "train", validation: "val", tests: ["test"] })
})

const services = Layer.mergeAll(
  Engine.layerOnnx(),
  Teacher.layerHog(),
  Runs.layer("runs/birds", { config: { preset: "tiny" } })
).pipe(Layer.provideMerge(Images.layerFolder("birds")))

console.log(await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(services))))
