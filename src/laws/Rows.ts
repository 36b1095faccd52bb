/** Vectors on the host, as rows of numbers. */
import * as HostTensor from "../shapes/HostTensor.ts"

/** Vectors of the same width. */
export type Rows = ReadonlyArray<ReadonlyArray<number>>

export const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number =>
  a.reduce((sum, x, at) => sum + x * b[at]!, 0)

export const unit = (vector: ReadonlyArray<number>): ReadonlyArray<number> => {
  const length = Math.hypot(...vector)
  return vector.map((x) => x / length)
}

/** Returns the squared distance. */
export const distance = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number =>
  a.reduce((sum, x, at) => sum + (x - b[at]!) ** 2, 0)

export const sum = (rows: Rows, width: number): ReadonlyArray<number> =>
  Array.from({ length: width }, (_, channel) => rows.reduce((total, row) => total + row[channel]!, 0))

/** Returns rows as a host array `[count, width]`. */
export const toHost = (rows: Rows, width: number): HostTensor.HostTensor<[number, number], "float32"> =>
  HostTensor.make([rows.length, width], "float32", Float32Array.from(rows.flat()))

export const fromHost = (
  { data, shape: [count, width] }: HostTensor.HostTensor<readonly [number, number], "float32">
): Rows => Array.from({ length: count }, (_, row) => Array.from(data.subarray(row * width, (row + 1) * width)))

/** Formats a vector for messages. */
export const show = (vector: ReadonlyArray<number>): string =>
  `[${vector.map((x) => Number(x.toPrecision(4))).join(", ")}]`
