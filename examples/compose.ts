/** Learns from the demo's emoji for half a minute: `npm run example examples/compose.ts`. */
import { Console, Effect, Layer } from "effect"
import { Preset, Presets } from "patchword/domain"
import { Engine, Images, Runs, Teacher } from "patchword/layers"
import { features, pretrain, probe, trainTokenizer } from "patchword/pipelines"

/** Learns from the split `train` and tells how well a linear probe knows another split. */
export const learn = Effect.fn("learn")(function*(preset: Preset.Preset, split: string) {
  const { load } = yield* Images.Images
  const [train, test] = yield* Effect.all([load("train"), load(split)])
  const tokenizer = yield* trainTokenizer(preset.tokenizer)
  const backbone = yield* pretrain(preset.pretrain, tokenizer)
  const [seen, held] = yield* features(backbone, [train, test], preset.probe)
  return yield* probe(preset.probe, { train: seen!, tests: [held!] })
})

const short = { optimizer: { duration: 30, warmup: 3 } }

/** With everything that it needs; `Images.layerFolder("birds")` would take a folder of yours, `Presets.tiny` minutes. */
export const emoji = Preset.with(Presets.tiny, { tokenizer: short, pretrain: short }).pipe(
  Effect.flatMap((preset) => learn(preset, "in-new")),
  Effect.tap(({ figures }) => Console.log(`top-1 accuracy: ${(100 * figures[0]!.top1).toFixed(1)} %`)),
  Effect.provide(
    Layer.mergeAll(
      Engine.layerOnnx(),
      Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 }),
      Runs.layer("runs/compose", { config: { preset: "tiny", short } })
    ).pipe(Layer.provideMerge(Images.layerEmoji()))
  )
)

if (import.meta.main) await Effect.runPromise(emoji)
