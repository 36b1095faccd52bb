/** `patchword encode`: images to codes. */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Images } from "../../layers/images/Images.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Encode from "../../pipelines/evaluate/Encode.ts"
import { encodeShards } from "../../pipelines/evaluate/EncodeShards.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as ImageRows from "../terminal/ImageRows.ts"
import * as Print from "../terminal/Print.ts"

/** The command. */
export const encode = Command.make("encode", {
  tokenizer: Argument.String("tokenizer").pipe(
    Argument.withDescription("a run with a tokenizer, RUN/STAGE, or a file of weights")
  ),
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  out: Flag.File("out").pipe(
    Described.optional(
      "a safetensors file, such as codes.safetensors, for codes [images, patches] and labels; beside it, codes.csv names the image " +
        "and the class of each row",
      "none; a line of JSON for each image is printed"
    )
  ),
  shards: Flags.shards("encodes a part of the images", "encodes all images"),
  replace: OutputFile.replace,
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    yield* OutputFile.check({ ...given, ending: ImageRows.ENDING, beside: (file) => [ImageRows.tableOf(file)] })
    const tokenizer = NetworkFlags.withColour(
      yield* NetworkFlags.chosen(given.tokenizer, Artifact.tokenizer),
      given.colour
    )
    yield* Effect.gen(function*() {
      const set = yield* (yield* Images).load(given.split)
      yield* ImagesFlags.checkDivision(tokenizer.provenance, [set])
      const { patches } = tokenizer.config.encoder
      const shared = Option.map(given.shards, (folder) => encodeShards(tokenizer, set, folder))
      if (Option.isSome(shared) && Option.isNone(given.out)) {
        yield* shared.value
        return yield* Print.result(given.json, { shards: given.shards, images: set.length, patches }, [set])
      }
      if (Option.isNone(given.out)) {
        return yield* Encode.encode(tokenizer, set, (some) =>
          Console.log(ImageRows.lines(set, some, ({ codes }) => ({ codes: Array.from(codes) }))))
      }
      const codes = yield* Option.getOrElse(shared, () =>
        Encode.encodeAll(tokenizer, set))
      const written = yield* ImageRows.write(given.out.value, set, {
        codes: { shape: [set.length, patches], dtype: "int32", data: codes }
      })
      yield* Print.result(given.json, { ...written, images: set.length, patches }, [set])
    }).pipe(Effect.provide(Services.imagesAndEngine(given, tokenizer.config)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("turn images into codes (visual words)"),
    Command.withExamples([
      { command: "patchword encode runs/one --images photos --split train" },
      { command: "patchword encode runs/one --images photos --out codes.safetensors" }
    ])
  )
