/** The description of an atlas, and the names of its files. */
import { Effect, Schema } from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import * as CodeScan from "./CodeScan.ts"

/** Folder of a run for its atlas. */
export const FOLDER = "atlas"

/** The description; it is written last, so an atlas without it is not finished. */
export const INDEX = "index.json"

/** The arrays of all codes. */
export const ARRAYS = "codes.safetensors"

/** The codes of all images, in the order of the set, as 16 or 32 bits. */
export const IMAGES = "images.bin"

/** The names of all images: their positions in 64 bits, then the texts. */
export const NAMES = "names.bin"

/** The small pictures of all images: their positions in 64 bits, then the pictures. */
export const THUMBNAILS = "thumbnails.bin"

/** The state of a scan that is not finished. */
export const SCAN = "scan.safetensors"

/** The folders of pictures. Each has one picture for every code that occurs. */
export const PICTURES = ["patches", "nearest", "farthest", "misses"] as const
/** A folder of pictures. */
export type PictureKind = typeof PICTURES[number]

/** The lists that a kind of pictures shows, and their form. */
export const SHOWN: Readonly<Record<PictureKind, CodeScan.ListName>> = {
  patches: "sample",
  nearest: "nearest",
  farthest: "farthest",
  misses: "misses"
}

/** Returns the name of a picture, within the folder of the atlas. */
export const picture = (kind: PictureKind, code: number): string => `${kind}/${code}.webp`

/** All that decides about the content of an atlas. An atlas is continued only if it is the same. */
export const Identity = Schema.Struct({
  format: Schema.Literal(1),
  /** SHA-256 of the weights of the tokenizer. */
  tokenizer: Schema.String,
  /** The split, and the SHA-256 of its images. */
  split: Schema.String,
  images: Schema.String,
  /** The side of an image as the tokenizer sees it, and of a patch, in pixels. */
  imageSize: Quantity.Size,
  patchSize: Quantity.Size,
  /** The part of the configuration that decides about the views. */
  view: Schema.Json,
  lists: CodeScan.Lists,
  /** True if the codes of every image are kept. */
  keepsImages: Schema.Boolean,
  /** True if a code's classes are counted. */
  countsClasses: Schema.Boolean,
  /** The side of the small pictures of images, in pixels; 0 if there are none. An atlas of an older version has none. */
  thumbnails: Quantity.Whole.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))
})
export type Identity = typeof Identity.Type

/** The figures of an atlas. */
export const Figures = Schema.Struct({
  images: Quantity.Whole,
  patches: Quantity.Whole,
  /** The number of codes in the codebook, of those that occur, and their perplexity. */
  codes: Quantity.Count,
  used: Quantity.Whole,
  perplexity: Schema.Finite,
  /** The mutual information of code and class, in bits; null if there are not two classes. */
  mutualInformation: Schema.NullOr(Schema.Struct({
    bits: Schema.Finite,
    classEntropy: Schema.Finite,
    codeEntropy: Schema.Finite,
    /** `bits` divided by the entropy of the classes. */
    normalised: Schema.Finite
  }))
})
export type Figures = typeof Figures.Type

/** The description of an atlas. */
export const AtlasIndex = Schema.Struct({
  ...Identity.fields,
  /** The rows and columns of patches in an image. */
  grid: Schema.Struct({ height: Quantity.Count, width: Quantity.Count }),
  classes: Schema.Array(Schema.String),
  figures: Figures,
  /** The side of the pictures of patches with their surroundings, in pixels. */
  window: Quantity.Size,
  /** The method of the map of codes; null if the vectors of the codes are not known. */
  map: Schema.NullOr(Schema.String),
  /** The SHA-256 of the arrays. */
  arrays: Schema.String,
  /** The SHA-256 of the names of images, and of their codes if they are kept. An atlas of an older version has none. */
  namesDigest: Schema.optionalKey(Schema.String),
  imagesDigest: Schema.optionalKey(Schema.String),
  thumbnailsDigest: Schema.optionalKey(Schema.String),
  computedOn: ComputedOn.History,
  patchword: Schema.String
})
export type AtlasIndex = typeof AtlasIndex.Type

/** The text of a description. */
export const IndexText = Json.text(AtlasIndex, { space: 2 })
