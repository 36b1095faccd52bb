/** A training that diverges is an answer here, not a failure: `npm run example examples/errors.ts`. */
import { Console, Effect, Layer } from "effect"
import { Preset, Presets } from "patchword/domain"
import { Engine, Images, Runs, Teacher } from "patchword/layers"
import { trainTokenizer } from "patchword/pipelines"

/** Says in words how a training with a learning rate ends. */
export const trial = (lr: number) =>
  Preset.with(Presets.tiny, { tokenizer: { optimizer: { lr, warmup: 0, duration: 10, clipNorm: null } } }).pipe(
    Effect.flatMap(({ tokenizer }) => trainTokenizer(tokenizer)),
    Effect.as("learns"),
    Effect.catchReasons("TrainingError", {
      NonFinite: ({ metric, value }, { batch, step }) =>
        Effect.succeed(`diverges: at step ${step} the ${metric} is ${value}, and the run keeps its batch as ${batch}`),
      OutOfMemory: () => Effect.succeed("needs a machine with more memory")
    }),
    Effect.catchTag("TooFewImages", ({ images, needed }) => Effect.succeed(`has ${images} of ${needed} images`)),
    Effect.provide(Runs.layerMemory(), { local: true })
  )

const machine = Layer.mergeAll(
  Engine.layerOnnx(),
  Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 })
).pipe(Layer.provideMerge(Images.layerEmoji()))

export const program = Effect.forEach(
  [1e-3, 1e30],
  (lr) => Effect.tap(trial(lr), (end) => Console.log(`a rate of ${lr} ${end}`))
).pipe(Effect.provide(machine))

if (import.meta.main) await Effect.runPromise(program)
