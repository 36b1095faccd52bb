/** `patchword features`: images to vectors. */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Images } from "../../layers/images/Images.ts"
import * as Features from "../../pipelines/evaluate/Features.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as PoolingFlags from "../flags/PoolingFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as ImageRows from "../terminal/ImageRows.ts"
import * as Print from "../terminal/Print.ts"

/** The command. */
export const features = RunPlace.command("features", { network: "networks" }, {
  network: NetworkFlags.network,
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  ...PoolingFlags.flags,
  out: Flag.File("out").pipe(
    Described.optional(
      "a safetensors file, such as features.safetensors, for features [images, width] and labels; beside it, features.csv names " +
        "the image and the class of each row",
      "none; a line of JSON for each image is printed"
    )
  ),
  replace: OutputFile.replace,
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    yield* OutputFile.check({ ...given, ending: ImageRows.ENDING, beside: (file) => [ImageRows.tableOf(file)] })
    const found = yield* NetworkFlags.open(given)
    const pooled = yield* PoolingFlags.resolve(given, found._tag)
    yield* Effect.gen(function*() {
      const set = yield* (yield* Images).load(given.split)
      yield* ImagesFlags.checkDivision(found.provenance, [set])
      if (Option.isNone(given.out)) {
        return yield* Features.streamFeatures(found, set, pooled, (some) =>
          Console.log(ImageRows.lines(set, some, ({ features }) => ({ features: Array.from(features) }))))
      }
      const [described] = yield* Features.features(found, [set], pooled)
      const { features } = described!
      const written = yield* ImageRows.write(given.out.value, set, { features })
      yield* Print.result(given.json, { ...written, images: set.length, width: features.shape[1] }, [set])
    }).pipe(Effect.provide(Services.imagesAndEngine(given, found.config)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("turn images into the features of a frozen network"),
    Command.withExamples([
      { command: "patchword features runs/one/pretrain --images photos --out features.safetensors" },
      { command: "patchword features runs/one/pretrain --images photos --split train" }
    ])
  )
