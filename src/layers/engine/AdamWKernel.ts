/**
 * AdamW outside of the graph: a WebAssembly kernel that updates, in one pass, the arrays that the runtime reads parameters
 * from.
 */
import { BLOCK } from "../../compiler/onnx/TransposedGradient.ts"
import type { AdamWUpdate } from "../../compiler/programs/Program.ts"
import type { Arrays, Packed } from "./Protocol.ts"
import { adamWKernelWasm } from "./wasm/AdamWKernelWasm.ts"

type Kernel = (...numbers: ReadonlyArray<number>) => void

/** The exports of `AdamWKernel.wat`. */
interface Kernels {
  readonly adamw: Kernel
  readonly mean: Kernel
  readonly transpose: Kernel
}

/** The update of one parameter. Each step supplies the numbers called `factors`. */
interface Call {
  readonly run: Kernel
  readonly factors: ReadonlyArray<string | undefined>
}

/**
 * Arrays in the kernel's memory, by their names in the program: parameters and moments with their values, and space for
 * gradients.
 */
export interface Layout {
  readonly held: ReadonlyMap<string, Packed>
  readonly gradients: ReadonlyMap<string, Packed>
  readonly calls: ReadonlyArray<Call>
}

// One memory holds up to 4 GiB. Several memories keep each allocation small.
const GROUP = 2 ** 30
const PAGE = 2 ** 16

const wasm = new WebAssembly.Module(Uint8Array.from(atob(adamWKernelWasm), (byte) => byte.charCodeAt(0)))

/** Alignment of arrays: the size of a cache line in bytes. So no vector of a product spans two lines. */
const LINE = 64

const sizeOf = ({ data }: Packed): number => Math.ceil(data.byteLength / LINE) * LINE

/** Offsets of the arrays of a parameter, in bytes. */
interface Places {
  readonly gradient: number
  readonly parameter: number
  readonly first: number
  readonly second: number
  readonly mean: number | undefined
  readonly ema: number | undefined
}

/** True if AdamW with these factors would change nothing. */
const isStill = ([, keepFirst, takeFirst, keepSecond, takeSecond, , step, keep]: ReadonlyArray<number>): boolean =>
  keepFirst === 1 && takeFirst === 0 && keepSecond === 1 && takeSecond === 0 && step === 0 && keep === 1

/** Makes the update of one parameter without its moving average. Each of its arrays has `bytes` bytes. */
const stepper = (
  { adamw, mean: take, transpose }: Kernels,
  bytes: number,
  { first, gradient, mean, parameter, second }: Omit<Places, "ema">,
  transposed: { readonly shape: Packed["shape"]; readonly scratch: number } | undefined
): Kernel => {
  if (mean !== undefined) {
    return (keepMean, takeMean, ...factors) => {
      take(bytes, gradient, mean, factors[0]!, keepMean!, takeMean!)
      if (!isStill(factors)) adamw(bytes, mean, parameter, first, second, ...factors)
    }
  }
  if (transposed === undefined) return (...factors) => adamw(bytes, gradient, parameter, first, second, ...factors)
  const { scratch, shape: [rows, columns] } = transposed
  const block = 4 * BLOCK.rows * columns!
  return (...factors) => {
    for (let row = 0, at = 0; row < rows!; row += BLOCK.rows, at += block) {
      transpose(gradient + 4 * row, scratch, rows!, columns!)
      adamw(block, scratch, parameter + at, first + at, second + at, ...factors)
    }
  }
}

/** Makes the update of one parameter, and of its moving average if it has one. */
const runner = (
  kernels: Kernels,
  bytes: number,
  { ema, ...places }: Places,
  transposed: { readonly shape: Packed["shape"]; readonly scratch: number } | undefined
): Kernel => {
  const step = stepper(kernels, bytes, places, transposed)
  if (ema === undefined) return step
  return (keepEma, takeEma, ...factors) => {
    step(...factors)
    if (keepEma !== 1 || takeEma !== 0) kernels.mean(bytes, places.parameter, ema, 1, keepEma!, takeEma!)
  }
}

/**
 * Lays out the arrays of a program's updates in the kernel's memory. It takes over the buffers that it is given. With `together`, the
 * gradients lie one behind the other.
 */
export const layout = (updates: ReadonlyArray<AdamWUpdate>, given: Arrays, together = false): Layout => {
  const groups: Array<{ readonly updates: Array<AdamWUpdate>; bytes: number }> = []
  for (const update of updates) {
    const arrays = 4 + [update.mean, update.ema].filter((name) => name !== undefined).length
    const [bytes, last] = [arrays * sizeOf(given[update.parameter]!), groups.at(-1)]
    if (last === undefined || last.bytes + bytes > GROUP) groups.push({ updates: [update], bytes })
    else {
      last.updates.push(update)
      last.bytes += bytes
    }
  }
  const held = new Map<string, Packed>()
  const gradients = new Map<string, Packed>()
  const calls = groups.flatMap(({ bytes: scratch, updates: group }) => {
    const widest = group.map(({ parameter, transposed }) => (transposed ? given[parameter]!.shape[1]! : 0))
    const bytes = scratch + 4 * BLOCK.rows * Math.max(...widest)
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) })
    const { exports } = new WebAssembly.Instance(wasm, { patchword: { memory } })
    const { adamw, mean, transpose } = exports as Record<keyof Kernels, Kernel>
    const kernels = { adamw, mean, transpose }
    let free = 0
    let nextGradient = 0
    if (together) free = group.reduce((sum, { parameter }) => sum + sizeOf(given[parameter]!), 0)
    return group.map(({ ema, factors, first, gradient, mean, parameter, second, transposed }) => {
      const { data: { length }, dtype, shape } = given[parameter]!
      const size = sizeOf(given[parameter]!)
      const place = (name: string) => {
        const at = together && name === gradient ? nextGradient : free
        const packed = { shape, dtype, data: new Float32Array(memory.buffer, at, length) }
        if (name === gradient) gradients.set(name, transposed ? { ...packed, shape: shape.toReversed() } : packed)
        else {
          const { data } = given[name]!
          const { buffer } = data as Float32Array<ArrayBuffer>
          packed.data.set(data)
          // Frees the memory now; the garbage collector might free it only after the first step.
          buffer.transfer(0)
          held.set(name, packed)
        }
        if (at === free) free += size
        else nextGradient += size
        return at
      }
      const places = {
        gradient: place(gradient),
        parameter: place(parameter),
        first: place(first),
        second: place(second),
        mean: mean === undefined ? undefined : place(mean),
        ema: ema === undefined ? undefined : place(ema)
      }
      const { epsilon, finite, keep, keepFirst, keepSecond, step, takeFirst, takeSecond } = factors
      const { keepEma, keepMean, takeEma, takeMean } = factors
      const adding = [
        ...(ema === undefined ? [] : [keepEma, takeEma]),
        ...(mean === undefined ? [] : [keepMean, takeMean])
      ]
      return {
        run: runner(kernels, size, places, transposed ? { shape, scratch } : undefined),
        factors: [...adding, finite, keepFirst, takeFirst, keepSecond, takeSecond, epsilon, step, keep]
      }
    })
  })
  return { held, gradients, calls }
}

/** Updates all parameters by the present gradients. */
export const update = (calls: ReadonlyArray<Call>, factor: (name: string) => number): void => {
  for (const { factors, run } of calls) run(...factors.map((name) => (name === undefined ? 1 : factor(name))))
}
