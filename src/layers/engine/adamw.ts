/** AdamW after a program's graph: one pass over the memory that the graph's runtime reads parameters from. */
import type { Adamw } from "../../compiler/Trace.ts"
import { adamwWasm } from "./adamwWasm.ts"
import type { Arrays, Packed } from "./protocol.ts"

type Kernel = (...numbers: ReadonlyArray<number>) => void

/** One call of the kernel: sizes and places in its memory, and the names of the numbers that each step brings. */
interface Call {
  readonly kernel: Kernel
  readonly places: ReadonlyArray<number>
  readonly factors: ReadonlyArray<string | undefined>
}

/** What is updated, by the names of the program: parameters and moments with their values, and room for gradients. */
export interface Layout {
  readonly held: ReadonlyMap<string, Packed>
  readonly gradients: ReadonlyMap<string, Packed>
  readonly calls: ReadonlyArray<Call>
}

// One memory holds up to 4 GiB; several keep small what is asked for at once.
const GROUP = 2 ** 30
const PAGE = 2 ** 16

const wasm = new WebAssembly.Module(Uint8Array.from(atob(adamwWasm), (byte) => byte.charCodeAt(0)))

const sizeOf = ({ data }: Packed): number => Math.ceil(data.byteLength / 16) * 16

/** Lays out the arrays of a program's updates. It takes over what it is given. */
export const layout = (updates: ReadonlyArray<Adamw>, given: Arrays): Layout => {
  const groups: Array<{ readonly updates: Array<Adamw>; bytes: number }> = []
  for (const update of updates) {
    const [bytes, last] = [4 * sizeOf(given[update.parameter]!), groups.at(-1)]
    if (last === undefined || last.bytes + bytes > GROUP) groups.push({ updates: [update], bytes })
    else {
      last.updates.push(update)
      last.bytes += bytes
    }
  }
  const held = new Map<string, Packed>()
  const gradients = new Map<string, Packed>()
  const calls = groups.flatMap(({ bytes, updates: together }) => {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) })
    const kernel = new WebAssembly.Instance(wasm, { patchword: { memory } }).exports["adamw"] as Kernel
    let free = 0
    return together.map(({ factors, first, gradient, parameter, second }) => {
      const { data: { length }, dtype, shape } = given[parameter]!
      const size = sizeOf(given[parameter]!)
      const places = [gradient, parameter, first, second].map((name) => {
        const packed = { shape, dtype, data: new Float32Array(memory.buffer, free, length) }
        if (name === gradient) gradients.set(name, packed)
        else {
          const { data } = given[name]!
          const { buffer } = data as Float32Array<ArrayBuffer>
          packed.data.set(data)
          // Frees now what the collector might free after the first step.
          buffer.transfer(0)
          held.set(name, packed)
        }
        free += size
        return free - size
      })
      const { epsilon, finite, keep, keepFirst, keepSecond, step, takeFirst, takeSecond } = factors
      return {
        kernel,
        places: [size, ...places],
        factors: [finite, keepFirst, takeFirst, keepSecond, takeSecond, epsilon, step, keep]
      }
    })
  })
  return { held, gradients, calls }
}

/** Takes one step with the gradients that are there. */
export const update = (calls: ReadonlyArray<Call>, factor: (name: string) => number): void => {
  for (const { factors, kernel, places } of calls) {
    kernel(...places, ...factors.map((name) => (name === undefined ? 1 : factor(name))))
  }
}
