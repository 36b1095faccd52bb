/** The addresses on the pages of an atlas. */
import type { PictureKind } from "../AtlasIndex.ts"

/** Makes addresses. Each page is where its user puts it: on a server, or within one file. */
export interface AtlasLinks {
  /** A picture of a code: the strip of its patches, or of patches in their images. */
  readonly picture: (kind: PictureKind, code: number) => string
  /** The page of a code. */
  readonly code: (code: number) => string
  /** The page of an image, by its index. */
  readonly image: (image: number) => string
}

// They end a string or an address in CSS, or are escapes there.
const UNSAFE = /["'()\\\s]/g

/** Formats an address for CSS, as `url("…")`. No address can leave the quotes. */
export const cssUrl = (address: string): string =>
  `url("${address.replace(UNSAFE, (one) => `%${one.codePointAt(0)!.toString(16).padStart(2, "0")}`)}")`
