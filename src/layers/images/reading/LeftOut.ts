/** What lies among images and is not taken for one. */
import { Schema } from "effect"

/** Files that are no images, or none that are read here. */
export const LeftOut = Schema.Struct({
  /** Their ending, or what they are: `bmp`, `FIFO`. */
  kind: Schema.String,
  count: Schema.Int
})
export type LeftOut = typeof LeftOut.Type

/** How many files are left out, and of which kinds: `left out: 3 (2 bmp, 1 txt)`. Empty where none are. */
export const toldLeftOut = (leftOut: ReadonlyArray<LeftOut>): string => {
  if (leftOut.length === 0) return ""
  const kinds = leftOut.toSorted((a, b) => b.count - a.count).map(({ count, kind }) => `${count} ${kind}`)
  return `left out: ${leftOut.reduce((sum, { count }) => sum + count, 0)} (${kinds.join(", ")})`
}
