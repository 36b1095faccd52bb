/** What a compiled program asks of a GPU: its launches, and the memory that they read and write. */
import type { Computation, HloModule, Instruction } from "./HloModule.ts"

/** The launches of one call. */
export interface Launches {
  readonly launches: number
  /** Launches that are matrix products, by a library or by a kernel of XLA. */
  readonly products: number
  /**
   * Bytes that launches read and write, by the shapes of their operands and results. A launch that reads a part of an operand counts the
   * whole of it.
   */
  readonly traffic: number
  /** Number of launches of each kind: the name of the operation, with the name of the function that it calls. */
  readonly kinds: Readonly<Record<string, number>>
}

/** Operations that launch nothing. The end of an asynchronous operation is counted at its start. */
const FREE: ReadonlySet<string> = new Set([
  "parameter",
  "get-tuple-element",
  "tuple",
  "constant",
  "bitcast",
  "after-all",
  "opt-barrier",
  "async-done",
  "copy-done",
  "all-reduce-done",
  "partition-id",
  "replica-id"
])

/** Operations that launch what their computations do. */
const WRAPPERS: ReadonlySet<string> = new Set(["call", "conditional", "while", "async-start"])

const LIBRARIES = /^__cu(?:blas|dnn)/

/** Counts the launches of a program. A loop counts as often as it runs, and once if the compiler does not know it. */
export const count = ({ computations, entry }: HloModule): Launches => {
  const byId = new Map(computations.map((computation) => [computation.id, computation]))
  const kinds: Record<string, number> = {}
  let [launches, products, traffic] = [0, 0, 0]

  const isProduct = ({ calls, opcode, target }: Instruction): boolean =>
    opcode === "dot" || opcode === "convolution" || LIBRARIES.test(target) ||
    (opcode === "fusion" && calls.some((id) => byId.get(id)!.instructions.some(isProduct)))

  const walk = ({ instructions }: Computation, times: number): void => {
    const bytes = new Map(instructions.map((one) => [one.id, one.bytes]))
    for (const one of instructions) {
      if (FREE.has(one.opcode)) continue
      if (WRAPPERS.has(one.opcode)) {
        for (const id of one.calls) walk(byId.get(id)!, times * (one.trips ?? 1))
        continue
      }
      const kind = one.target === "" ? one.opcode : `${one.opcode} ${one.target}`
      kinds[kind] = (kinds[kind] ?? 0) + times
      launches += times
      if (isProduct(one)) products += times
      traffic += times * one.operands.reduce((sum, operand) => sum + bytes.get(operand)!, one.bytes)
    }
  }

  walk(byId.get(entry)!, 1)
  return { launches, products, traffic, kinds }
}
