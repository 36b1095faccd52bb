import fc from "fast-check"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"

export type Matrix = HostTensor.HostTensor<[number, number], "float32">

export const matrix = (seed: number, purpose: string, rows: number, width: number): Matrix => {
  const { normal } = KeyedRandom.generator({ seed, purpose, epoch: 0, index: 0 })
  return HostTensor.make([rows, width], "float32", Float32Array.from({ length: rows * width }, normal))
}

export const rows = ({ data, shape: [count, width] }: Matrix): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: count }, (_, row) => Array.from(data.subarray(row * width, (row + 1) * width)))

export const unit = (vector: ReadonlyArray<number>): ReadonlyArray<number> => {
  const length = Math.hypot(...vector)
  return vector.map((x) => x / length)
}

export const units = (of: Matrix): Matrix =>
  HostTensor.make(of.shape, "float32", Float32Array.from(rows(of).flatMap((row) => unit(row))))

export const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number =>
  a.reduce((sum, x, at) => sum + x * b[at]!, 0)

export interface Problem {
  readonly seed: number
  readonly codebook: Matrix
  readonly vectors: Matrix
}

export const problem: fc.Arbitrary<Problem> = fc.record({
  seed: fc.nat(),
  count: fc.integer({ min: 1, max: 20 }),
  codes: fc.integer({ min: 1, max: 12 }),
  channels: fc.integer({ min: 2, max: 6 })
}).map(({ channels, codes, count, seed }) => ({
  seed,
  codebook: units(matrix(seed, "codebook", codes, channels)),
  vectors: matrix(seed, "vectors", count, channels)
}))
