/**
 * PCA whitening. Rows are centred, projected onto their principal components, scaled to about equal variance, and normalised to
 * unit length.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PcaWhitening } from "patchword/domain"
 *
 * const rows = Float32Array.of(1, 1, 2, 2, 3, 3, 4, 5)
 * const whitening = PcaWhitening.fit(rows, 2, 1)
 * const directions = PcaWhitening.apply(whitening, rows)
 * assert.deepStrictEqual([...directions].map(Math.abs), [1, 1, 1, 1])
 * ```
 */
import { finish, type Pausable } from "../values/Pausable.ts"
import * as PrincipalComponents from "./PrincipalComponents.ts"

/** A fitted projection from `width` numbers to `components`. */
export interface PcaWhitening {
  readonly width: number
  readonly components: number
  /** `[components, width]`: the principal axes, each divided by its standard deviation. */
  readonly axes: Float32Array
  /** `[components]`: the projection of the mean row. */
  readonly origin: Float32Array
}

/** So many products are done between two pauses. */
const PAUSE = 2 ** 18

// Of the largest variance, added to each: directions in which hardly anything varies are not blown up.
const RIDGE = 0.02

/**
 * Computes the first `components` principal components of rows of `width` numbers. The largest entry of an axis is positive.
 * Equal rows therefore give equal projections.
 */
export const fit = (rows: Float32Array, width: number, components: number): PcaWhitening => {
  const { axes: found, mean, variances } = PrincipalComponents.fit(rows, width, components)
  const axes = new Float32Array(components * width)
  const origin = new Float32Array(components)
  found.forEach((axis, component) => {
    const scale = 1 / Math.sqrt(variances[component]! + RIDGE * variances[0]!)
    axis.forEach((value, i) => {
      axes[component * width + i] = value * scale
      origin[component]! += value * scale * mean[i]!
    })
  })
  return { width, components, axes, origin }
}

/**
 * Multiplies `rows`, `[M, width]`, by the transposed `axes`, `[components, width]`, in 64 bits. It takes two rows and four axes
 * at a time, which makes a batch four times as fast.
 */
function* multiply(
  rows: Float32Array,
  axes: Float32Array,
  width: number,
  components: number
): Pausable<Float64Array> {
  const count = rows.length / width
  const quads = Math.ceil(components / 4)
  const woven = new Float64Array(quads * width * 4)
  axes.forEach((value, i) => {
    const component = Math.floor(i / width)
    woven[(Math.floor(component / 4) * width + i % width) * 4 + component % 4] = value
  })
  const product = new Float64Array(count * quads * 4)
  const even = new Float64Array(width)
  const odd = new Float64Array(width)
  const perPause = 2 * Math.max(1, Math.floor(PAUSE / (width * components)))
  for (let row = 0; row < count; row += 2) {
    if (row % perPause === 0) yield
    const next = Math.min(row + 1, count - 1)
    for (let i = 0; i < width; i++) {
      even[i] = rows[row * width + i]!
      odd[i] = rows[next * width + i]!
    }
    for (let quad = 0; quad < quads; quad++) {
      let a = 0
      let b = 0
      let c = 0
      let d = 0
      let e = 0
      let f = 0
      let g = 0
      let h = 0
      let from = quad * width * 4
      for (let i = 0; i < width; i++) {
        const left = even[i]!
        const right = odd[i]!
        const p = woven[from]!
        const q = woven[from + 1]!
        const r = woven[from + 2]!
        const s = woven[from + 3]!
        a += p * left
        b += q * left
        c += r * left
        d += s * left
        e += p * right
        f += q * right
        g += r * right
        h += s * right
        from += 4
      }
      const first = (row * quads + quad) * 4
      const second = (next * quads + quad) * 4
      product[first] = a
      product[first + 1] = b
      product[first + 2] = c
      product[first + 3] = d
      product[second] = e
      product[second + 1] = f
      product[second + 2] = g
      product[second + 3] = h
    }
  }
  return product
}

/** Projects each row. The results, `[M, components]`, have unit length, except for zero vectors. */
export const apply = (whitening: PcaWhitening, rows: Float32Array): Float32Array => finish(applying(whitening, rows))

/** Computes {@link apply} with pauses. */
export function* applying(whitening: PcaWhitening, rows: Float32Array): Pausable<Float32Array> {
  const { axes, components, origin, width } = whitening
  const product = yield* multiply(rows, axes, width, components)
  const count = rows.length / width
  const stride = product.length / count
  const projected = new Float32Array(count * components)
  const perPause = Math.max(1, Math.floor(PAUSE / components))
  for (let row = 0; row < count; row++) {
    if (row % perPause === 0) yield
    let squares = 0
    for (let component = 0; component < components; component++) {
      squares += (product[row * stride + component]! - origin[component]!) ** 2
    }
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares)
    for (let component = 0; component < components; component++) {
      projected[row * components + component] = (product[row * stride + component]! - origin[component]!) * scale
    }
  }
  return projected
}
