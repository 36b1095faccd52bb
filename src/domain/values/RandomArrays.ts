/** Fills arrays with random numbers by a WebAssembly kernel. The numbers are those of one draw at a time, in less time. */
import { randomArraysWasm } from "./RandomArraysWasm.ts"

/** Makes a normal number from two uniform numbers in [0, 1), by Box and Muller. */
export const boxMuller = (first: number, second: number): number =>
  Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second)

/** The state of xoroshiro128+: four words of 32 bits. */
export type State = readonly [number, number, number, number]

/** A normal distribution of mean 0. Values further than `cut` from zero are drawn again. */
export interface Truncated {
  readonly deviation: number
  readonly cut: number
}

type Kernel = (...numbers: ReadonlyArray<number>) => number

const wasm = new WebAssembly.Module(Uint8Array.from(atob(randomArraysWasm), (byte) => byte.charCodeAt(0)))
const { exports } = new WebAssembly.Instance(wasm, {
  patchword: { normal: (first: number, second: number) => boxMuller(first * 2 ** -53, second * 2 ** -53) }
})
const memory = exports["memory"] as WebAssembly.Memory
const kernels = exports as Record<"normal" | "seed" | "uniform", Kernel>

/** Numbers of a block. */
const BLOCK = 2048
const made = new Float32Array(memory.buffer, 24576, BLOCK)

/** Fills an array from blocks. `make` makes a block and returns how many numbers it has. */
const fill = (values: Float32Array, state: State, make: () => number): void => {
  kernels.seed(...state)
  for (let filled = 0; filled < values.length;) {
    const count = Math.min(make(), values.length - filled)
    values.set(made.subarray(0, count), filled)
    filled += count
  }
}

/** Fills an array with uniform numbers within ±`bound`, times `factor`. */
export const uniform = (values: Float32Array, state: State, bound: number, factor: number): void =>
  fill(values, state, () => {
    kernels.uniform(bound, factor)
    return BLOCK
  })

/** Fills an array with numbers of a truncated normal distribution, times `factor`. */
export const normal = (values: Float32Array, state: State, { cut, deviation }: Truncated, factor: number): void => {
  const [below, above] = [cut * (1 - 2 ** -33), cut * (1 + 2 ** -33)]
  // Smaller numbers are made one by one: their cosine, or their float32, has fewer exact bits.
  const least = Math.max(deviation * 2 ** -11, 2 ** -126 / Math.abs(factor))
  fill(values, state, () => kernels.normal(deviation, cut, factor, below, above, least))
}
