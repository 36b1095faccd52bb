/** `patchword tokenizer`: learn a visual vocabulary. */
import { Console, Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as Presets from "../../domain/config/presets/Presets.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import { Images } from "../../layers/images/Images.ts"
import * as SharedWork from "../../layers/storage/SharedWork.ts"
import { Teacher } from "../../layers/teacher/Teacher.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import { cacheFeatures, computeFeatures } from "../../pipelines/CacheFeatures.ts"
import { measureTokenizer } from "../../pipelines/evaluate/Evaluate.ts"
import { trainTokenizer } from "../../pipelines/TrainTokenizer.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as ContinueFlags from "../flags/ContinueFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as TeacherFlags from "../flags/TeacherFlags.ts"
import * as TrainingFlags from "../flags/TrainingFlags.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

const train = RunPlace.command(
  "train",
  { continue: "all", teacher: "networks", out: "owned" },
  {
    ...ConfigFlags.flags,
    ...ImagesFlags.flags,
    // Before the engine's, in the help.
    ...TeacherFlags.flags,
    ...TrainingFlags.flags
  },
  (given) =>
    Effect.gen(function*() {
      const preset = yield* RunConfig.begin(given)
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
  Command.withDescription("train a tokenizer: it learns a codebook from a teacher's features (VQ-KD)"),
  Command.withExamples([
    { command: "patchword tokenizer train --preset tiny --images emoji --out runs/one" },
    {
      command:
        "patchword tokenizer train --preset base --images imagenet.yaml --teacher clip:clip.safetensors --out runs/base"
    }
  ])
)

/** The flags of `tokenizer cache`. */
export const cacheFlags = {
  folder: Argument.Directory("folder").pipe(
    Argument.withDescription(
      "the folder of the cache (default: none; with --shards, this process only helps to fill one)"
    ),
    Argument.optional
  ),
  ...ConfigFlags.flags,
  ...ImagesFlags.flags,
  ...TeacherFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  shards: Flags.shards("computes a part of the features", "computes all features"),
  dtype: Flag.Literals("dtype", ["float16", "float32"]).pipe(
    Described.withDefault("the number format of the kept features", "float16")
  ),
  damaged: Flag.Literals("damaged", ["fail", "recompute"]).pipe(
    Described.withDefault("a damaged shard ends the command (fail), or is computed anew (recompute)", "fail")
  ),
  again: Described.flag(
    "again",
    "check the views of all steps again and compute missing ones; for images replaced under the same name and size"
  ),
  json: Flags.json
}

const cache = RunPlace.command("cache", { teacher: "networks" }, cacheFlags, (given) =>
  Effect.gen(function*() {
    const { again, damaged: onDamaged, dtype, folder, json, shards, split } = given
    if (Option.isNone(folder) && (again || Option.isNone(shards))) {
      return yield* Config.refusal(
        "folder",
        "expected the folder of the cache, got none",
        "name it, or give --shards to help a process that fills a cache"
      )
    }
    if (Option.isSome(folder) && Option.isSome(shards)) yield* SharedWork.checkPlace(shards.value, folder.value)
    yield* ConfigFlags.onlyOf(["tokenizer"], given)
    const preset = yield* ConfigFlags.resolve(given)
    const services = Layer.mergeAll(TeacherFlags.layer(given, preset), Print.progress(given.json)).pipe(
      Layer.provideMerge(Services.imagesAndEngine(given, preset.tokenizer))
    )
    yield* Effect.gen(function*() {
      const set = yield* (yield* Images).load(split)
      if (Option.isNone(folder)) {
        const shared = Option.getOrThrow(shards)
        yield* computeFeatures(preset.tokenizer, shared, { split, dtype })
        return yield* Print.result(json, { shards: shared, images: set.length }, [set])
      }
      const { about, bytes, computedOn, images } = yield* cacheFeatures(preset.tokenizer, folder.value, {
        split,
        dtype,
        again,
        onDamaged,
        ...(Option.isSome(shards) && { shards: shards.value })
      })
      yield* Print.result(
        json,
        { folder: folder.value, images, bytes, ...about, computedOn: computedOn.map(ComputedOn.show) },
        [
          set
        ]
      )
    }).pipe(Effect.provide(services))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "compute the teacher's features for a training ahead; then train with --teacher cache:FOLDER"
    ),
    Command.withExamples([
      { command: "patchword tokenizer cache cache/clip --preset base --images photos --teacher clip:clip.safetensors" }
    ])
  )

const evaluate = RunPlace.command("evaluate", { tokenizer: "networks", teacher: "networks" }, {
  tokenizer: Argument.String("tokenizer").pipe(
    Argument.withDescription("a run with a tokenizer, RUN/STAGE, or a file of weights")
  ),
  ...ImagesFlags.flags,
  ...TeacherFlags.flags,
  ...EngineFlags.flags,
  tests: Flags.tests,
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const opened = yield* NetworkFlags.chosen(given.tokenizer, Artifact.tokenizer)
    const found = NetworkFlags.withColour(opened, given.colour)
    const preset = new Preset({ ...Presets.tiny, tokenizer: found.config })
    const services = Layer.mergeAll(TeacherFlags.layer(given, preset), Print.progress(given.json)).pipe(
      Layer.provideMerge(Services.imagesAndEngine(given, found.config))
    )
    yield* Effect.gen(function*() {
      const { digest, name, width } = yield* Teacher
      const known = found.provenance?.teacherDigest
      if (width !== found.teacherWidth || (known !== undefined && known !== digest)) {
        return yield* Config.refusal(
          "--teacher",
          `expected the teacher ${
            found.provenance?.teacher ?? "of the tokenizer"
          } with its ${found.teacherWidth} channels, ` +
            `got another one, ${name} with ${width}`,
          "name the teacher that the tokenizer was trained with, on the same training images"
        )
      }
      const sets = yield* Effect.forEach(given.tests, (yield* Images).load)
      yield* ImagesFlags.checkDivision(found.provenance, sets)
      const figures = yield* Effect.forEach(sets, (set) =>
        Effect.map(measureTokenizer(found, set), (measured) => ({ split: set.name, images: set.length, ...measured })))
      if (given.json) {
        return yield* Print.result(true, { tokenizer: given.tokenizer, figures }, sets)
      }
      yield* Console.log(Print.columns([
        ["split", "images", "reconstruction loss", "used codes", "used, %", "perplexity"],
        ...figures.map(({ images, perplexity, reconstruction, split, usage, usedShare }) => [
          split,
          String(images),
          reconstruction.toFixed(3),
          `${usage} of ${found.config.codebook.size}`,
          Print.percent(usedShare),
          perplexity.toFixed(1)
        ])
      ]))
    }).pipe(Effect.provide(services))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("measure a tokenizer: its reconstruction loss, and the share of the codebook that occurs"),
    Command.withExamples([
      { command: "patchword tokenizer evaluate runs/one --images emoji --tests val,in-new" },
      {
        command:
          "patchword tokenizer evaluate runs/base --images imagenet.yaml --teacher clip:clip.safetensors --tests val"
      }
    ])
  )

/** The command. */
export const tokenizer = Command.make("tokenizer").pipe(
  Command.withDescription("learn a visual vocabulary: tokenizer train, tokenizer cache, tokenizer evaluate"),
  Command.withSubcommands([train, cache, evaluate])
)
