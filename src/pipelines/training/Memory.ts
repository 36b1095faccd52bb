/** The memory of the machine, and the memory that the state of a step needs. */
import { Effect } from "effect"
import * as os from "node:os"
import { EngineError, OutOfMemory } from "../../layers/engine/Engine.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Tree from "../../shapes/Tree.ts"

/** Returns the memory of the machine or of the process's container, in bytes. */
export const total = (): number => Math.min(os.totalmem(), process.constrainedMemory() || Infinity)

/** Returns the memory that the process holds now, in bytes. That of a GPU does not count. */
export const used = (): number => process.memoryUsage.rss()

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"]

/** Formats a number of bytes in a suitable unit: `598 KiB`, `1.01 TiB`. */
export const show = (bytes: number): string => {
  // Three digits are shown, so that 1000 of a unit are a part of the next one.
  const fitting = UNITS.findIndex((_, power) => bytes < 999.5 * 1024 ** power)
  const power = fitting === -1 ? UNITS.length - 1 : fitting
  const size = bytes / 1024 ** power
  return `${power === 0 || size >= 999.5 ? Math.round(size) : size.toPrecision(3)} ${UNITS[power]}`
}

/** Returns the number of elements of a record of tensors or of their specifications. */
export const elements = (spec: object): number =>
  Tree.leaves(spec).reduce((sum, [, { shape }]) => sum + HostTensor.size(shape), 0)

/** Fails with `OutOfMemory` if not even the state of a step fits into memory. Nothing is allocated before. */
export const checkFits = Effect.fnUntraced(function*(program: string, state: object) {
  const [asked, there] = [4 * elements(state), total()]
  if (asked <= there) return
  const detail = `the weights and their update take ${show(asked)}, and the machine has ${show(there)}`
  return yield* new EngineError({ program, reason: new OutOfMemory({ detail }) })
})
