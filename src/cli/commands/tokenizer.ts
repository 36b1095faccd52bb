/** `patchword tokenizer`: learn a visual vocabulary. */
import { Effect, Layer } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import { Images } from "../../layers/images/Images.ts"
import * as Runs from "../../layers/run/Runs.ts"
import { cacheFeatures } from "../../pipelines/CacheFeatures.ts"
import { trainTokenizer } from "../../pipelines/TrainTokenizer.ts"
import * as Failure from "../Failure.ts"
import * as Options from "../Options.ts"
import * as Settings from "../Settings.ts"
import * as Show from "../Show.ts"
import * as Sources from "../Sources.ts"
import * as Teaching from "../Teaching.ts"
import * as Trained from "../Trained.ts"

const { images, json, machine, out, settings, split, teacher } = Options

const train = Command.make(
  "train",
  { ...settings, ...images, ...teacher, ...machine, out, split, json },
  (given) =>
    Effect.gen(function*() {
      const preset = yield* Settings.resolve(given)
      // The run folder is made last, so that none is left where something else cannot be had.
      const services = Runs.layer(given.out, { config: yield* Settings.plain(preset) }).pipe(
        Layer.provideMerge(Layer.mergeAll(Teaching.layer(given, preset), Show.progress(given.json))),
        Layer.provideMerge(Sources.services(given, preset.tokenizer.augment, given.out))
      )
      yield* trainTokenizer(preset.tokenizer, { split: given.split }).pipe(
        Effect.andThen(Trained.show(given, "tokenizer")),
        Effect.provide(services)
      )
    }).pipe(Failure.plain)
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
  ...settings,
  ...images,
  ...teacher,
  ...machine,
  split,
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
  json
}, (given) =>
  Effect.gen(function*() {
    const preset = yield* Settings.resolve(given)
    const services = Layer.mergeAll(Teaching.layer(given, preset), Show.progress(given.json)).pipe(
      Layer.provideMerge(Sources.services(given, preset.tokenizer.augment))
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
      yield* Show.result(given.json, { folder, images, bytes, ...about, computedOn: computedOn.map(ComputedOn.show) }, [
        set
      ])
    }).pipe(Effect.provide(services))
  }).pipe(Failure.plain)).pipe(
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
