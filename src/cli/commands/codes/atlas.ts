/** `patchword atlas`: what the codes of a tokenizer mean. */
import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../../domain/config/Config.ts"
import { Images } from "../../../layers/images/Images.ts"
import * as Results from "../../../layers/run/Results.ts"
import * as Artifact from "../../../pipelines/artifacts/Artifact.ts"
import * as BuildAtlas from "../../../pipelines/atlas/BuildAtlas.ts"
import * as CodeScan from "../../../pipelines/atlas/CodeScan.ts"
import * as Thumbnails from "../../../pipelines/atlas/Thumbnails.ts"
import * as Memory from "../../../pipelines/training/Memory.ts"
import * as Described from "../../flags/Described.ts"
import * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
import * as ImagesFlags from "../../flags/ImagesFlags.ts"
import * as NetworkFlags from "../../flags/NetworkFlags.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Services from "../../flags/Services.ts"
import * as Failure from "../../terminal/Failure.ts"
import * as Print from "../../terminal/Print.ts"

const number = (name: CodeScan.ListName, text: string) =>
  Flag.Int(name).pipe(
    Flag.filter((most) => most >= 0 && most <= CodeScan.MOST, () => `a whole number from 0 to ${CodeScan.MOST}`),
    Described.withDefault(text, CodeScan.LISTS[name])
  )

const short = (value: number): number => Number(value.toPrecision(4))

/** The command. */
export const atlas = RunPlace.command("atlas", { tokenizer: "measured", out: "measured" }, {
  tokenizer: Argument.String("tokenizer").pipe(
    Argument.withDescription("a run with a tokenizer, RUN/STAGE, or a file of weights")
  ),
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  nearest: number("nearest", "patches closest to each code, of as many images"),
  farthest: number("farthest", "patches of each code that are farthest from it"),
  misses: number("misses", "near misses of each code: patches whose second choice it is"),
  sample: number("sample", "patches of each code that are drawn at random"),
  imageCodes: Described.flag(
    "image-codes",
    "keep the codes of every image, so that an image can be looked at as codes; two bytes for each patch",
    true
  ),
  thumbnails: Flag.Int("thumbnails").pipe(
    Flag.filter((side) => side >= 0, () => "a whole number of pixels, or 0 for none"),
    Described.withDefault("side of a small picture of every image, in pixels; none with 0", Thumbnails.SIDE)
  ),
  out: Flag.Directory("out").pipe(Described.optional("a folder for OUT/atlas", "the run of the tokenizer")),
  replace: Described.flag("replace", "remove another atlas that is in the folder, and begin again"),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { farthest, imageCodes, json, misses, nearest, replace, sample, thumbnails } = given
    const tokenizer = NetworkFlags.withColour(
      yield* NetworkFlags.chosen(given.tokenizer, Artifact.tokenizer),
      given.colour
    )
    const folder = Option.isSome(given.out) ? given.out : yield* Results.runOf(given.tokenizer)
    if (Option.isNone(folder)) {
      return yield* Config.refusal(
        "--out",
        `expected a folder for the atlas, because ${given.tokenizer} is not in a run`,
        "name a folder by --out"
      )
    }
    yield* Effect.gen(function*() {
      const set = yield* (yield* Images).load(given.split)
      yield* ImagesFlags.checkDivision(tokenizer.provenance, [set])
      const made = yield* BuildAtlas.atlas(tokenizer, set, folder.value, {
        lists: { nearest, farthest, misses, sample },
        keepImages: imageCodes,
        thumbnails,
        replace
      })
      const { codes, images, mutualInformation: told, patches, perplexity, used } = made.figures
      if (json) {
        const { folder: atlas, figures, imageBytes, thumbnailBytes } = made
        return yield* Print.result(true, { atlas, ...figures, imageBytes, thumbnailBytes }, [set])
      }
      yield* Print.result(false, {
        atlas: made.folder,
        images,
        patches,
        "used codes": `${used} of ${codes}`,
        perplexity: short(perplexity),
        ...(told === null ? {} : {
          "bits about class": `${short(told.bits)} of ${
            short(told.classEntropy)
          } (mutual information of code and class)`,
          normalised: short(told.normalised)
        }),
        "codes of images": imageCodes ? Memory.show(made.imageBytes) : "not kept",
        "small pictures": thumbnails > 0 ? Memory.show(made.thumbnailBytes) : "not kept"
      })
    }).pipe(
      Effect.provide(Layer.merge(Print.progress(json), Services.imagesAndEngine(given, tokenizer.config)))
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "look into the codebook: patches of each code, near misses, neighbours, a map of all codes; and what codes tell about classes"
    ),
    Command.withExamples([
      { command: "patchword atlas runs/one --images emoji --split in-new" },
      { command: "patchword atlas runs/base --images imagenet.yaml --check names --engine xla --platform cuda" }
    ])
  )
