/** The pixels beyond the border of a line of `length` pixels. Each function returns the index of the pixel that stands there. */

/** A rule for places before 0 and from `length` on. */
export type Border = (index: number, length: number) => number

/** Repeats the last pixel: `a a | a b c | c c`. */
export const nearest: Border = (index, length) => Math.min(length - 1, Math.max(0, index))

const remainder = (index: number, period: number): number => ((index % period) + period) % period

/** Mirrors the line with its last pixel: `b a | a b c | c b`. */
export const reflect: Border = (index, length) => {
  const place = remainder(index, 2 * length)
  return place < length ? place : 2 * length - 1 - place
}

/** Mirrors the line without its last pixel: `c b | a b c | b a`. */
export const mirror: Border = (index, length) => {
  if (length === 1) return 0
  const place = remainder(index, 2 * length - 2)
  return place < length ? place : 2 * length - 2 - place
}
