import { Effect, Layer } from "effect"
import { type Preset, Presets } from "patchword/domain"
import { Engine, Images, Runs, Teacher } from "patchword/layers"
import { features, pretrain, probe, trainTokenizer } from "patchword/pipelines"

/** Learns from the split `train` and tells how well a linear probe knows the split `test`. */
export const learn = Effect.fn("learn")(function*(preset: Preset.Preset) {
  const { load } = yield* Images.Images
  const [train, test] = yield* Effect.all([load("train"), load("test")])
  const tokenizer = yield* trainTokenizer(preset.tokenizer)
  const backbone = yield* pretrain(preset.pretrain, tokenizer)
  const [seen, held] = yield* features(backbone, [train, test], preset.probe)
  return yield* probe(preset.probe, { train: seen!, tests: [held!] })
})

/** On a folder of images, with everything that it needs: `Effect.runPromise(birds)`. */
export const birds = learn(Presets.tiny).pipe(Effect.provide(
  Layer.mergeAll(
    Engine.layerOnnx(),
    Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 }),
    Runs.layer("runs/birds", { config: { preset: "tiny" } })
  ).pipe(Layer.provideMerge(Images.layerFolder("birds")))
))
