/**
 * Arrays on the host: inputs and outputs of an engine, contents of checkpoints, decoded images.
 *
 * A `HostTensor<S, D>` is a typed array in row-major order with its shape. It owns no device memory. So it may be kept, copied
 * between threads and buffered in streams without a scope.
 *
 * ```ts
 * import assert from "node:assert"
 * import { HostTensor } from "patchword/shapes"
 *
 * const codes = HostTensor.make([2, 3], "int32", Int32Array.of(1, 2, 3, 4, 5, 6))
 * assert.strictEqual(HostTensor.size(codes.shape), 6)
 * assert.deepStrictEqual(HostTensor.zeros([2, 2], "float32").data, new Float32Array(4))
 * assert.strictEqual(HostTensor.item(HostTensor.scalar(0.5)), 0.5)
 * ```
 */
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"

/** The element types: real values, codes and indices, masks. */
export type DType = "float32" | "int32" | "bool"

/** The typed array that stores elements of type `D`. */
export type DataOf<D extends DType> = D extends "float32" ? Float32Array : D extends "int32" ? Int32Array : Uint8Array

/**
 * A row-major array with its shape. It is read-only and therefore covariant in both parameters, unlike `Tensor`: a `[B, 36, 6]`
 * is accepted as a `[B, number, number]`.
 */
export interface HostTensor<out S extends Shape = Shape, out D extends DType = DType> {
  readonly shape: S
  readonly dtype: D
  readonly data: DataOf<D>
}

/** A host array of any shape and element type. */
export type Any = HostTensor

/** Returns the number of elements of a shape, 1 for a scalar. */
export const size = (shape: Shape): number => shape.reduce((product, dim) => product * dim, 1)

/**
 * Wraps a typed array without a copy.
 *
 * @throws ShapeError when the array's length is not the shape's size.
 */
export const make = <const S extends Shape, D extends DType>(
  shape: S,
  dtype: D,
  data: DataOf<D>
): HostTensor<{ -readonly [K in keyof S]: S[K] }, D> => {
  if (data.length !== size(shape)) {
    throw new ShapeError.ShapeError(
      `host tensor: shape ${ShapeError.show(shape)} needs ${size(shape)} values but got ${data.length}`
    )
  }
  return { shape: shape as { -readonly [K in keyof S]: S[K] }, dtype, data }
}

/** The typed array of each element type. */
export const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const

/** Counts the bytes of an array. */
export const bytes = (array: Pick<Any, "shape" | "dtype">): number =>
  size(array.shape) * ARRAYS[array.dtype].BYTES_PER_ELEMENT

/** Creates an array of zeros. */
export const zeros = <const S extends Shape, D extends DType>(
  shape: S,
  dtype: D
): HostTensor<{ -readonly [K in keyof S]: S[K] }, D> => make(shape, dtype, new ARRAYS[dtype](size(shape)) as DataOf<D>)

/** Creates a scalar. */
export const scalar = (value: number): HostTensor<[], "float32"> => make([], "float32", Float32Array.of(value))

/** Returns the number of a scalar. */
export const item = (tensor: HostTensor<[]>): number => tensor.data[0]!

/** Returns a type and a shape in words: `float32 [2, 3]`. */
export const describe = (type: { readonly shape: Shape; readonly dtype: string }): string =>
  `${type.dtype} ${ShapeError.show(type.shape)}`

/**
 * Compares an array with a type and a shape, in which `-1` stands for any size. Returns both in words if they differ, and otherwise
 * undefined. An array of another length than its shape differs.
 */
export const difference = (
  expected: { readonly shape: Shape; readonly dtype: string },
  found: Any | undefined
): { readonly expected: string; readonly given: string } | undefined => {
  const said = describe(expected)
  if (found === undefined) return { expected: said, given: "missing" }
  const { data: { length }, dtype, shape } = found
  const isWhole = length === size(shape)
  const fits = dtype === expected.dtype && shape.length === expected.shape.length &&
    expected.shape.every((dim, axis) => dim === -1 || dim === shape[axis])
  return fits && isWhole
    ? undefined
    : { expected: said, given: isWhole ? describe(found) : `${describe(found)} with ${length} values` }
}
