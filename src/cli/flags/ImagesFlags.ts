/** The images that flags name. */
import { Console, Effect, FileSystem, Layer, Option, Path } from "effect"
import { Flag } from "effect/cli"
import { type AugmentConfig, Colour } from "../../domain/config/AugmentConfig.ts"
import * as Config from "../../domain/config/Config.ts"
import * as Images from "../../layers/images/Images.ts"
import { ImagesError } from "../../layers/images/reading/ImagesError.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Runs from "../../layers/run/Runs.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as Print from "../terminal/Print.ts"
import * as Described from "./Described.ts"

const SHARD = /\.(tar|tar\.gz|tgz|parquet)$/
const CIFAR = ["batches.meta.txt", "fine_label_names.txt"]

/** The images of a command line that names none. */
const EMOJI = "emoji"

/** Made-up scenes of these, with the classes of their pixels. */
const SCENES = "scenes"

/** The value of a flag that stands for nothing. */
const NONE = "none"

/** Shards by split: `train=a.tar,val=b.tar`, or files without a split for `train`. */
const shardsOf = (text: string): Images.Shards => {
  const shards = new Map<string, Array<string>>()
  for (const [, split = "train", file] of text.matchAll(/(?:^|,)(?:([\w-]+)=)?((?:\{[^}]*\}|[^,{])+)/g)) {
    shards.set(split, [...(shards.get(split) ?? []), file!])
  }
  return Object.fromEntries(shards)
}

/** The way in which a network's configuration has colours read. */
export type Colours = Pick<AugmentConfig, "colour">

/** The source of images, and the checks before they are used. */
export const flags = {
  images: Flag.String("images").pipe(
    Described.optional(
      "emoji, scenes of emoji, a folder of images, a folder of CIFAR, a manifest (.yaml, .json), or shards (.tar, .tar.gz, .parquet), for " +
        "example train=a-{000..099}.tar,val=b.tar; patchword help images has examples",
      EMOJI
    )
  ),
  splits: Flag.String("splits").pipe(
    Described.optional(
      "the sub-folders of a folder that are splits, for example train,val; none: all sub-folders are classes",
      "told from their names"
    )
  ),
  labelColumn: Flag.String("label-column").pipe(
    Described.optional(
      "the label: a column of .parquet, or a field of a sample's .json in .tar; none reads no labels",
      "label"
    )
  ),
  holdout: Flag.Finite("holdout").pipe(
    Flag.filter((share) => share > 0 && share < 1, () => "above 0 and below 1"),
    Described.optional(
      "hold this share of each class of train out as the split val, for example 0.2; the same images in every verb",
      "none"
    )
  ),
  holdoutSeed: Flag.Int("holdout-seed").pipe(
    Described.optional("with --holdout: another seed holds other images out", "0")
  ),
  check: Flag.Literals("check", ["contents", "names"]).pipe(
    Described.withDefault(
      "contents decodes every image once before use; names checks nothing, for millions of images",
      "contents"
    )
  ),
  broken: Flag.Literals("broken", ["fail", "skip"]).pipe(
    Described.withDefault("broken images end the command (fail), or are left out (skip, with --check contents)", "fail")
  ),
  colour: Flag.Literals("colour", Colour.literals).pipe(
    Described.optional(
      "managed reads colours as a person sees them; official reads them as the official code does",
      "the network's, or the preset's"
    )
  ),
  pixelLimit: Flag.Int("pixel-limit").pipe(
    Flag.filter((limit) => limit >= 1, () => "1 or more"),
    Described.optional("the most pixels of an image; a larger one counts as broken", "100 million")
  )
}

/** The values of {@link flags}. */
export interface ImagesFlags {
  readonly images: Option.Option<string>
  readonly check: "contents" | "names"
  readonly broken: "fail" | "skip"
  readonly pixelLimit: Option.Option<number>
  readonly splits: Option.Option<string>
  readonly labelColumn: Option.Option<string>
  readonly holdout: Option.Option<number>
  readonly holdoutSeed: Option.Option<number>
}

/** The part that is held out, as runs and results record it; nothing where none is. */
export const recorded = (
  { holdout, holdoutSeed }: ImagesFlags
): { readonly holdout?: { readonly share: number; readonly seed: number } } =>
  Option.match(holdout, {
    onNone: () => ({}),
    onSome: (share) => ({ holdout: { share, seed: Option.getOrElse(holdoutSeed, () => 0) } })
  })

/** Says so where other images are held out than when a network was trained: it may have seen what is held out now. */
export const checkDivision = (
  provenance: Weights.Provenance | undefined,
  sets: ReadonlyArray<ImageSet>
): Effect.Effect<void> => {
  const then = provenance?.holdout
  const now = sets.find(({ holdout }) => holdout !== undefined)?.holdout
  if (now === undefined || provenance === undefined) return Effect.void
  if (then === undefined) {
    const [trained] = provenance.dataDigest.split(" ")
    return trained === now.whole
      ? Console.error("the network was trained on all of these images: it has seen those that are held out now")
      : Effect.void
  }
  const seen = "it may have seen images that are held out now"
  if (now.share !== then.share || now.seed !== then.seed) {
    const flags = `--holdout ${then.share} --holdout-seed ${then.seed}`
    return Console.error(`the network was trained with ${flags}: ${seen}; give the same flags`)
  }
  if (now.held === then.held || then.held === undefined) return Effect.void
  return Console.error(
    "the network was trained with other images held out, so images were added, removed or renamed since then, or these are " +
      `another set: ${seen}; test it on a split that was never trained on, or train again`
  )
}

// Flags for other sources than the one that is named would be passed over.
const refused = (
  flag: string,
  message: string,
  advice = `leave out ${flag}`
): Layer.Layer<Images.Images, ImagesError> =>
  Layer.effect(
    Images.Images,
    Effect.fail(new ImagesError({ source: flag, reason: Config.refusal(flag, message, advice) }))
  )

/** Adds the place that `--images` names to an error that names none. */
const placed = (given: ImagesFlags) => (error: ImagesError): ImagesError => {
  const place = Option.filter(given.images, (name) => name !== EMOJI && error.path === undefined)
  const { reason, source } = error
  return Option.match(place, { onNone: () => error, onSome: (path) => new ImagesError({ source, reason, path }) })
}

/** Says which images were chosen by default, what a folder was taken for, and of each split what is not in it, once. */
const remarked = (given: ImagesFlags) =>
  Layer.effect(
    Images.Images,
    Effect.gen(function*() {
      const images = yield* Images.Images
      const { load, taken } = images
      const said = new Set<string>()
      if (Option.isNone(given.images)) yield* Console.error(`images: ${EMOJI} (default; --images names others)`)
      if (taken !== undefined) yield* Console.error(taken)
      return {
        ...images,
        load: (split) =>
          Effect.tap(Effect.mapError(load(split), placed(given)), (set) => {
            if (said.has(split)) return Effect.void
            said.add(split)
            return Effect.forEach(Print.remarks(set), (remark) => Console.error(remark), { discard: true })
          })
      }
    })
  )

const source = (
  { broken, check, images, labelColumn, pixelLimit, splits }: ImagesFlags,
  { colour }: Colours,
  run: string | undefined
): Layer.Layer<Images.Images, ImagesError, FileSystem.FileSystem | Path.Path> => {
  const options = {
    check,
    onBroken: broken,
    ...(colour === undefined ? {} : { colour }),
    ...Option.match(pixelLimit, { onNone: () => ({}), onSome: (limit) => ({ pixelLimit: limit }) })
  }
  const given = Option.getOrElse(images, () => EMOJI)
  const isShard = SHARD.test(given)
  if (Option.isSome(labelColumn) && !isShard) {
    return refused("--label-column", `expected shards (.tar, .tar.gz, .parquet) by --images, got ${given}`)
  }
  const asked = Option.map(splits, (text) => text === NONE ? [] : text.split(",").map((name) => name.trim()))
  if (Option.exists(asked, (names) => new Set(names).size < names.length || names.includes(""))) {
    const given = Option.getOrElse(splits, () => "")
    return refused(
      "--splits",
      `expected names of sub-folders, each once, got "${given}"`,
      `join the names by commas, or leave out --splits`
    )
  }
  const noFolder = refused("--splits", `expected a folder of images by --images, got ${given}`)
  if (given === EMOJI) return Option.isSome(splits) ? noFolder : Images.layerEmoji()
  if (given === SCENES) return Option.isSome(splits) ? noFolder : Images.layerScenes()
  if (isShard) {
    if (Option.isSome(splits)) return noFolder
    const label = Option.match(labelColumn, {
      onNone: () => ({}),
      onSome: (name) => ({ label: name === NONE ? false as const : name })
    })
    return given.endsWith(".parquet")
      ? Images.layerParquet(shardsOf(given), { ...options, ...label })
      : Images.layerWebDataset(shardsOf(given), { ...options, ...label })
  }
  if (/\.(ya?ml|json)$/.test(given)) return Option.isSome(splits) ? noFolder : Images.layerManifest(given, options)
  return Layer.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const lists = yield* Effect.forEach(
      CIFAR,
      (name) => Effect.orElseSucceed(fs.exists(path.join(given, name)), () => false)
    )
    if (lists.includes(true)) return Option.isSome(splits) ? noFolder : Images.layerCifar(given)
    return Images.layerFolder(given, {
      ...options,
      ...(run === undefined ? {} : { cache: path.join(run, Runs.IMAGE_LISTS) }),
      ...Option.match(asked, { onNone: () => ({}), onSome: (names) => ({ splits: names }) })
    })
  }))
}

/**
 * The images that the flags name. The list of a folder's files is kept in the run, where there is one. Fails as their
 * layers do.
 */
export const layer = (given: ImagesFlags, colours: Colours, run?: string) => {
  const images = source(given, colours, run)
  const { holdout } = recorded(given)
  if (holdout === undefined && Option.isSome(given.holdoutSeed)) {
    return refused("--holdout-seed", "expected --holdout beside it", "add --holdout 0.2, or leave out --holdout-seed")
  }
  return Layer.provide(remarked(given), holdout === undefined ? images : Images.holdout(holdout)(images))
}
