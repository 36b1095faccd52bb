/** The addresses on the pages of an atlas. */
import type { PictureKind } from "../AtlasIndex.ts"

/** Makes addresses. Each page is where its user puts it: on a server, or within one file. */
export interface AtlasLinks {
  /** A picture of a code: the strip of its patches, or of patches in their images. */
  readonly picture: (kind: PictureKind, code: number) => string
  /** The picture of the strips of some codes. */
  readonly strips: (codes: ReadonlyArray<number>) => string
  /** The picture of an image that is drawn by patches of its codes. */
  readonly mosaic: (image: number) => string
  /** The small picture of an image. */
  readonly thumbnail: (image: number) => string
  /** The page of a code. */
  readonly code: (code: number) => string
  /** The page of an image, by its index. */
  readonly image: (image: number) => string
  /** The page of all images that begins at one. */
  readonly gallery: (from: number) => string
  /** The page of images that have a code, from one on. */
  readonly withCode: (code: number, from: number) => string
  /** The page of the list that begins at a row. */
  readonly list: (from: number) => string
  /** The list as data. */
  readonly data: string
}

// They end a string or an address in CSS, or are escapes there.
const UNSAFE = /["'()\\\s]/g

/** Formats an address for CSS, as `url("…")`. No address can leave the quotes. */
export const cssUrl = (address: string): string =>
  `url("${address.replace(UNSAFE, (one) => `%${one.codePointAt(0)!.toString(16).padStart(2, "0")}`)}")`

/** The place of a code in an address that stands for all of them. */
const ANY = 123454321

/** Returns the address of any code or image, with `{code}` in the place of its number. */
export const template = (address: (code: number) => string): string => address(ANY).replaceAll(String(ANY), "{code}")
