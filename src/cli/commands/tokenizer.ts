/** `patchword tokenizer`: learn a visual vocabulary. */
import { Effect, Layer } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import { Images } from "../../layers/images/Images.ts"
import { cacheFeatures } from "../../pipelines/CacheFeatures.ts"
import { trainTokenizer } from "../../pipelines/TrainTokenizer.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as ContinueFlags from "../flags/ContinueFlags.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as Services from "../flags/Services.ts"
import * as TeacherFlags from "../flags/TeacherFlags.ts"
import * as TrainingFlags from "../flags/TrainingFlags.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

const train = Command.make(
  "train",
  {
    ...ConfigFlags.flags,
    ...ImagesFlags.flags,
    // Before the engine's, in the help.
    ...TeacherFlags.flags,
    ...TrainingFlags.flags
  },
  (given) =>
    Effect.gen(function*() {
      const preset = yield* ConfigFlags.resolve(given)
      const continueFrom = yield* ContinueFlags.resolve(given, "tokenizer")
      const services = TeacherFlags.layer(given, preset).pipe(
        Layer.provideMerge(Services.training(given, preset.tokenizer, yield* Services.runConfig(preset, given)))
      )
      yield* trainTokenizer(preset.tokenizer, { split: given.split, continueFrom }).pipe(
        Effect.andThen(Print.stage(given, "tokenizer")),
        Effect.provide(services)
      )
    }).pipe(Failure.mapErrors)
).pipe(
  Command.withDescription("train a tokenizer: a codebook distilled from a teacher (VQ-KD)"),
  Command.withExamples([
    { command: "patchword tokenizer train --preset tiny --images emoji --out runs/one" },
    {
      command:
        "patchword tokenizer train --preset base --images imagenet.yaml --teacher clip:clip.safetensors --out runs/base"
    }
  ])
)

const cache = Command.make("cache", {
  folder: Argument.Directory("folder").pipe(Argument.withDescription("where the features are kept")),
  ...ConfigFlags.flags,
  ...ImagesFlags.flags,
  ...TeacherFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  dtype: Flag.Literals("dtype", ["float16", "float32"]).pipe(
    Flag.withDescription("how numbers are kept"),
    Flag.withDefault("float16" as const)
  ),
  damaged: Flag.Literals("damaged", ["fail", "recompute"]).pipe(
    Flag.withDescription("what a damaged shard does: fail, or be computed anew"),
    Flag.withDefault("fail" as const)
  ),
  again: Flag.Boolean("again").pipe(
    Flag.withDescription(
      "look at the views of all steps again and compute those that lack; for images replaced under the same name and size"
    ),
    Flag.withDefault(false)
  ),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const preset = yield* ConfigFlags.resolve(given)
    const services = Layer.mergeAll(TeacherFlags.layer(given, preset), Print.progress(given.json)).pipe(
      Layer.provideMerge(Services.imagesAndEngine(given, preset.tokenizer.augment))
    )
    const { again, damaged: onDamaged, dtype, folder } = given
    yield* Effect.gen(function*() {
      const { about, bytes, computedOn, images } = yield* cacheFeatures(preset.tokenizer, folder, {
        split: given.split,
        dtype,
        again,
        onDamaged
      })
      const set = yield* (yield* Images).load(given.split)
      yield* Print.result(
        given.json,
        { folder, images, bytes, ...about, computedOn: computedOn.map(ComputedOn.show) },
        [
          set
        ]
      )
    }).pipe(Effect.provide(services))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "keep the teacher's features of what a training will see; then train with --teacher cache:FOLDER"
    ),
    Command.withExamples([
      { command: "patchword tokenizer cache cache/clip --images photos --teacher clip:clip.safetensors" }
    ])
  )

/** The command. */
export const tokenizer = Command.make("tokenizer").pipe(
  Command.withDescription("learn a visual vocabulary"),
  Command.withSubcommands([train, cache])
)
