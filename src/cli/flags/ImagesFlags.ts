/** The images that flags name. */
import { Console, Effect, FileSystem, Layer, Option, Path } from "effect"
import { Flag } from "effect/cli"
import { type AugmentConfig, Colour } from "../../domain/config/AugmentConfig.ts"
import * as Config from "../../domain/config/Config.ts"
import * as Images from "../../layers/images/Images.ts"
import { ImagesError } from "../../layers/images/reading/ImagesError.ts"
import * as Runs from "../../layers/run/Runs.ts"
import * as Print from "../terminal/Print.ts"

const SHARD = /\.(tar|tar\.gz|tgz|parquet)$/
const CIFAR = ["batches.meta.txt", "fine_label_names.txt"]

/** What flags take for nothing. */
const NONE = "none"

/** Shards by split: `train=a.tar,val=b.tar`, or files without a split for `train`. */
const shardsOf = (text: string): Images.Shards => {
  const shards = new Map<string, Array<string>>()
  for (const [, split = "train", file] of text.matchAll(/(?:^|,)(?:([\w-]+)=)?((?:\{[^}]*\}|[^,{])+)/g)) {
    shards.set(split, [...(shards.get(split) ?? []), file!])
  }
  return Object.fromEntries(shards)
}

/** How a network's configuration has colours read. */
export type Colours = Pick<AugmentConfig, "colour">

/** Where images come from, and what is done before they are used. */
export const flags = {
  images: Flag.String("images").pipe(
    Flag.withDescription(
      "emoji, a folder of images or of CIFAR, a manifest (.yaml, .json), or shards (.tar, .tar.gz, .parquet) as " +
        "train=a-{000..099}.tar,val=b.tar"
    ),
    Flag.withDefault("emoji")
  ),
  splits: Flag.String("splits").pipe(
    Flag.withDescription(
      "the sub-folders of a folder that are its splits, as train,val; none where its sub-folders are classes"
    ),
    Flag.optional
  ),
  labelColumn: Flag.String("label-column").pipe(
    Flag.withDescription(
      "the column of .parquet, or the field of a sample's .json in .tar, that is the label; none reads no labels"
    ),
    Flag.optional
  ),
  holdout: Flag.Finite("holdout").pipe(
    Flag.withDescription(
      "hold this share of each class of train out as the split val, as 0.2; the same images in every verb; none without"
    ),
    Flag.filter((share) => share > 0 && share < 1, () => "above 0 and below 1"),
    Flag.optional
  ),
  holdoutSeed: Flag.Int("holdout-seed").pipe(
    Flag.withDescription("with --holdout: another seed holds other images out; default 0"),
    Flag.optional
  ),
  check: Flag.Literals("check", ["contents", "names"]).pipe(
    Flag.withDescription("contents decodes every image once before use; names trusts, for millions of images"),
    Flag.withDefault("contents" as const)
  ),
  broken: Flag.Literals("broken", ["fail", "skip"]).pipe(
    Flag.withDescription("what broken images do: fail, all named; or be left out, which needs --check contents"),
    Flag.withDefault("fail" as const)
  ),
  colour: Flag.Literals("colour", Colour.literals).pipe(
    Flag.withDescription(
      "managed: as a person sees them; official: as the official code reads them; default the network's or the preset's"
    ),
    Flag.optional
  ),
  pixelLimit: Flag.Int("pixel-limit").pipe(
    Flag.withDescription("most pixels of an image; a larger one is taken for broken; default 100 million"),
    Flag.filter((limit) => limit >= 1, () => "1 or more"),
    Flag.optional
  )
}

/** What {@link flags} say. */
export interface ImagesFlags {
  readonly images: string
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

// Flags for other sources than the one that is named would be passed over.
const refused = (flag: string, message: string): Layer.Layer<Images.Images, ImagesError> =>
  Layer.effect(Images.Images, Effect.fail(new ImagesError({ source: flag, reason: Config.refusal(flag, message) })))

/** Says what a folder was taken for, and of each split what is not in it, once, when it is loaded. */
const remarked = Layer.effect(
  Images.Images,
  Effect.gen(function*() {
    const images = yield* Images.Images
    const { load, taken } = images
    const said = new Set<string>()
    if (taken !== undefined) yield* Console.error(taken)
    return {
      ...images,
      load: (split) =>
        Effect.tap(load(split), (set) => {
          if (said.has(split)) return Effect.void
          said.add(split)
          return Effect.forEach(Print.remarks(set), (remark) => Console.error(remark), { discard: true })
        })
    }
  })
)

const source = (
  { broken, check, images: given, labelColumn, pixelLimit, splits }: ImagesFlags,
  { colour }: Colours,
  run: string | undefined
): Layer.Layer<Images.Images, ImagesError, FileSystem.FileSystem | Path.Path> => {
  const options = {
    check,
    onBroken: broken,
    ...(colour === undefined ? {} : { colour }),
    ...Option.match(pixelLimit, { onNone: () => ({}), onSome: (limit) => ({ pixelLimit: limit }) })
  }
  const isShard = SHARD.test(given)
  if (Option.isSome(labelColumn) && !isShard) {
    return refused("--label-column", `expected shards (.tar, .tar.gz, .parquet) by --images, got ${given}`)
  }
  const asked = Option.map(splits, (text) => text === NONE ? [] : text.split(",").map((name) => name.trim()))
  if (Option.exists(asked, (names) => new Set(names).size < names.length || names.includes(""))) {
    return refused("--splits", `expected names of sub-folders, each once, got "${Option.getOrElse(splits, () => "")}"`)
  }
  const noFolder = refused("--splits", `expected a folder of images by --images, got ${given}`)
  if (given === "emoji") return Option.isSome(splits) ? noFolder : Images.layerEmoji()
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
  const images = Layer.provide(remarked, source(given, colours, run))
  const { holdout } = recorded(given)
  if (holdout !== undefined) return Images.holdout(holdout)(images)
  return Option.isSome(given.holdoutSeed) ? refused("--holdout-seed", "expected --holdout beside it") : images
}
