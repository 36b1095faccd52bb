/**
 * A plane of numbers over an image, such as the scores of one class.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Plane } from "patchword/domain"
 *
 * const two = { width: 2, height: 1, data: Float64Array.of(0, 1) }
 * assert.deepStrictEqual([...Plane.resize(two, { width: 4, height: 1 }).data], [0, 0.25, 0.75, 1])
 * ```
 */

/** `height * width` numbers, row-major. */
export interface Plane {
  readonly width: number
  readonly height: number
  readonly data: Float32Array | Float64Array
}

/** For each place of a line that is resized: the two places that it mixes, and the weight of the second. */
const mixing = (length: number, out: number) => {
  const scale = length / out
  const centres = Float64Array.from({ length: out }, (_, at) => Math.max((at + 0.5) * scale - 0.5, 0))
  const first = Int32Array.from(centres, (centre) => Math.floor(centre))
  return {
    first,
    second: first.map((place) => Math.min(place + 1, length - 1)),
    weight: centres.map((centre, at) => centre - first[at]!)
  }
}

/** Resizes a plane bilinearly, as PyTorch's `interpolate` does with `align_corners=False`. */
export const resize = (plane: Plane, size: Pick<Plane, "width" | "height">): Plane => {
  const { data, height, width } = plane
  if (size.width === width && size.height === height) return plane
  const columns = mixing(width, size.width)
  const rows = mixing(height, size.height)
  const across = new Float64Array(height * size.width)
  for (let row = 0; row < height; row++) {
    for (let at = 0; at < size.width; at++) {
      const left = data[row * width + columns.first[at]!]!
      const right = data[row * width + columns.second[at]!]!
      across[row * size.width + at] = left + (right - left) * columns.weight[at]!
    }
  }
  const resized = new Float64Array(size.height * size.width)
  for (let row = 0; row < size.height; row++) {
    const weight = rows.weight[row]!
    const [upper, lower] = [rows.first[row]! * size.width, rows.second[row]! * size.width]
    for (let at = 0; at < size.width; at++) {
      const above = across[upper + at]!
      resized[row * size.width + at] = above + (across[lower + at]! - above) * weight
    }
  }
  return { ...size, data: resized }
}

/** Mirrors a plane: left and right are exchanged. */
export const flip = (plane: Plane): Plane => {
  const { data, height, width } = plane
  const mirrored = data.slice()
  for (let row = 0; row < height; row++) mirrored.subarray(row * width, (row + 1) * width).reverse()
  return { width, height, data: mirrored }
}
