/** The flags and the output of commands that show what a network sees in images. */
import { Console, Effect, Layer, Option } from "effect"
import { Flag } from "effect/cli"
import type { Colour } from "../../domain/config/AugmentConfig.ts"
import type * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as LookFolder from "../../pipelines/look/LookFolder.ts"
import * as ImageRows from "../terminal/ImageRows.ts"
import * as Print from "../terminal/Print.ts"
import * as Described from "./Described.ts"
import * as EngineFlags from "./EngineFlags.ts"
import * as Flags from "./Flags.ts"
import * as ImagesFlags from "./ImagesFlags.ts"
import * as NetworkFlags from "./NetworkFlags.ts"
import * as Services from "./Services.ts"

/** The number of images that a run keeps. */
const SAMPLE = 8

/** The flags. */
export const flags = {
  network: NetworkFlags.network,
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  first: Flag.Int("first").pipe(
    Flag.filter((first) => first >= 1, () => "1 or more"),
    Described.withDefault("the number of images that are looked at, from the first one of the split", 16)
  ),
  out: Flag.Directory("out").pipe(
    Described.optional(
      "a new folder for PNG files, and look.json, which lists them; the run of the network keeps the first 8 images, too, in " +
        "RUN/look, in place of those before",
      "none; a line of JSON with the numbers is printed for each image, and nothing is written"
    )
  ),
  replace: Described.flag("replace", "replace a folder of such pictures at --out"),
  json: Flags.json
}

/** The values of {@link flags}. */
export interface LookFlags extends ImagesFlags.ImagesFlags, EngineFlags.EngineFlags {
  readonly network: string
  readonly colour: Option.Option<Colour>
  readonly split: string
  readonly first: number
  readonly out: Option.Option<string>
  readonly replace: boolean
  readonly json: boolean
}

/** A kind of look: it computes something of images, and shows it as numbers or as pictures. */
export interface Kind<A extends { readonly index: number }, F, E, R> {
  /** The settings of the look, besides the network and the images. */
  readonly about: Pick<LookFolder.About, "kind" | "block" | "keep" | "foreground">
  readonly compute: (
    set: ImageSet.ImageSet,
    use: (images: ReadonlyArray<A>) => Effect.Effect<void, Files.FileError>
  ) => Effect.Effect<F, E, R>
  readonly numbers: (image: A) => object
  readonly pictures: (name: string, image: A) => LookFolder.Shown
  readonly figures: (found: F) => Pick<LookFolder.Look, "explained" | "fitted">
}

/**
 * Looks at images with an opened network. Without `--out`, prints the numbers, and writes nothing. With it, writes the pictures there. Then
 * the run that has the network also keeps the pictures of a few images.
 */
export const look = Effect.fnUntraced(function*<A extends { readonly index: number }, F, E, R>(
  given: LookFlags,
  found: Artifact.Artifact,
  kind: Kind<A, F, E, R>
) {
  const { json, network, out } = given
  const set = yield* (yield* Images).load(given.split)
  yield* ImagesFlags.checkDivision(found.provenance, [set])
  const total = Math.min(given.first, set.length)
  const first = ImageSet.subset(set, Array.from({ length: total }, (_, i) => i))
  const { report } = yield* Progress
  const kept: Array<LookFolder.Shown> = []
  const computed = (use: (shown: LookFolder.Shown, image: A) => Effect.Effect<void, Files.FileError>) =>
    kind.compute(first, (some) =>
      Effect.forEach(some, (image) => {
        const shown = kind.pictures(first.describe(image.index), image)
        if (kept.length < SAMPLE) kept.push(shown)
        const step = image.index + 1
        return Effect.andThen(
          use(shown, image),
          report({ stage: kind.about.kind, step, total, metrics: {} })
        )
      }, { discard: true }))
  const about: LookFolder.About = {
    ...kind.about,
    network: found.provenance?.stage ?? network,
    weights: yield* Weights.digest(found.tensors),
    split: set.name,
    images: first.digest
  }
  if (Option.isNone(out)) {
    yield* computed((_, image) => Console.log(ImageRows.lines(first, [image], kind.numbers)))
    return
  }
  const figures = kind.figures(yield* LookFolder.write(out.value, about, (put) => computed(put), kind.figures))
  const sample = Option.map(
    yield* Results.runOf(network),
    (folder) => `${folder}/${LookFolder.FOLDER}/${about.kind}-${about.network.replaceAll(/[^\w-]+/g, "-")}`
  )
  if (Option.isSome(sample)) {
    yield* LookFolder.write(
      sample.value,
      about,
      (put) => Effect.forEach(kept, put, { discard: true }),
      () => figures
    )
  }
  yield* Print.result(json, {
    folder: out.value,
    images: total,
    of: set.length,
    ...kind.about,
    ...figures,
    ...(Option.isSome(sample) ? { sample: sample.value } : {})
  }, [set])
})

/** Opens the network that is named, and runs a program with the images and the engine of the flags. */
export const opened = Effect.fnUntraced(function*<A, E, R>(
  given: LookFlags,
  use: (found: Artifact.Artifact) => Effect.Effect<A, E, R>
) {
  if (Option.isSome(given.out)) yield* LookFolder.checkFree(given.out.value, given.replace)
  const found = yield* NetworkFlags.open(given)
  const services = Layer.merge(
    Services.imagesAndEngine(given, found.config),
    Print.progress(given.json || Option.isNone(given.out))
  )
  return yield* Effect.provide(use(found), services)
})
