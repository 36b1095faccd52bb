/** `patchword encode`: images to codes. */
import { Console, Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Images } from "../../layers/images/Images.ts"
import * as SharedWork from "../../layers/storage/SharedWork.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Encode from "../../pipelines/evaluate/Encode.ts"
import { encodeShards } from "../../pipelines/evaluate/EncodeShards.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as ImageRows from "../terminal/ImageRows.ts"
import * as Print from "../terminal/Print.ts"

/** The flags of the command. */
export const flags = {
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
}

/** The command. */
export const encode = RunPlace.command("encode", { tokenizer: "networks" }, flags, (given) =>
  Effect.gen(function*() {
    if (Option.isSome(given.out) && Option.isSome(given.shards)) {
      yield* SharedWork.checkPlace(given.shards.value, given.out.value)
    }
    // Where all shards are made, the files may be those that a process wrote of them before it was killed.
    const isMade = Option.isSome(given.shards) && (yield* SharedWork.isMade(given.shards.value))
    yield* OutputFile.check({
      ...given,
      replace: given.replace || isMade,
      ending: ImageRows.ENDING,
      beside: (file) => [ImageRows.tableOf(file)]
    })
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
        const shards = Option.getOrThrow(given.shards)
        return yield* Print.result(given.json, { shards, images: set.length, patches }, [set])
      }
      if (Option.isNone(given.out)) {
        return yield* Encode.encode(tokenizer, set, (some) =>
          Console.log(ImageRows.lines(set, some, ({ codes }) => ({ codes: Array.from(codes) }))))
      }
      const codes = yield* Option.getOrElse(shared, () =>
        Encode.encodeAll(tokenizer, set))
      const written = yield* ImageRows.write(given.out.value, set, {
        codes: { shape: [set.length, patches], dtype: "int32", data: codes }
      }, { replace: given.replace })
      yield* Print.result(given.json, { ...written, images: set.length, patches }, [set])
    }).pipe(Effect.provide(
      Layer.merge(Services.imagesAndEngine(given, tokenizer.config), Print.progress(given.json))
    ))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("turn images into codes (visual words)"),
    Command.withExamples([
      { command: "patchword encode runs/one --images photos --split train" },
      { command: "patchword encode runs/one --images photos --out codes.safetensors" }
    ])
  )
