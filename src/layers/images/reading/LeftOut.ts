/** Files among the images that are left out. */
import { Schema } from "effect"

/** Files that are not images, or have a format that is not read. */
export const LeftOut = Schema.Struct({
  /** Their extension, or their kind: `bmp`, `FIFO`. */
  kind: Schema.String,
  count: Schema.Int,
  /** The first of them by name, where a name matters. */
  names: Schema.optionalKey(Schema.Array(Schema.String))
})
export type LeftOut = typeof LeftOut.Type

/**
 * Formats the number of files that are left out, with their kinds: `left out: 3 (2 bmp, 1 txt)`. Empty if there are none.
 */
export const toldLeftOut = (leftOut: ReadonlyArray<LeftOut>): string => {
  if (leftOut.length === 0) return ""
  const kinds = leftOut.toSorted((a, b) => b.count - a.count).map(({ count, kind, names = [] }) =>
    [
      `${count} ${kind}`,
      ...(names.length === 0 ? [] : [[...names, ...(count > names.length ? ["..."] : [])].join(", ")])
    ]
      .join(": ")
  )
  return `left out: ${leftOut.reduce((sum, { count }) => sum + count, 0)} (${kinds.join(", ")})`
}
