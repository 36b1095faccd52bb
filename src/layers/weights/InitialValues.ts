/** Draws the initial values of large networks in worker threads. */
import { Effect } from "effect"
import { availableParallelism } from "node:os"
import * as Parameter from "../../nn/blocks/Parameter.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Pauses from "../machine/Pauses.ts"
import * as WorkerThread from "../machine/WorkerThread.ts"

type Parameters = Record<string, Parameter.Parameter<Shape>>

/** The values of parameters, under the same names. */
export type Values = Parameter.ValuesOf<Parameters>

/** The work of a thread: its parameters under their official names, and the seed of the network. */
export interface Share {
  readonly spec: Parameters
  readonly seed: number
}

/** Number of values of one array from which on their drawing would keep the event loop for too long. */
const LONG = 2 ** 19

/** Number of values from which on a thread is worth its start. */
const LARGE = 2 ** 22

const program = WorkerThread.file("InitialValuesWorker", import.meta.url)

/** Draws a share in a thread of its own. */
const drawnByThread = (share: Share): Effect.Effect<Values> =>
  WorkerThread.answer(program, share, Effect.sync((): Values => Parameter.initialise(share.spec, share.seed)))

/** Splits parameters into shares of about the same number of values. */
const shares = (spec: object, seed: number, count: number): ReadonlyArray<Share> => {
  const made = Array.from({ length: count }, () => ({ seed, size: 0, spec: {} as Parameters }))
  const bySize = Tree.leaves<Parameter.Parameter<Shape>>(spec).map(([path, leaf]) => ({
    path,
    leaf,
    // Equal values take no time.
    size: leaf.init._tag === "Constant" ? 0 : HostTensor.size(leaf.shape)
  })).toSorted((a, b) => b.size - a.size)
  for (const { leaf, path, size } of bySize) {
    const least = made.reduce((one, other) => other.size < one.size ? other : one)
    least.spec[path] = leaf
    least.size += size
  }
  return made
}

/**
 * Draws the values that `Parameter.initialise` draws, with pauses. For large networks, worker threads do this on all cores. The event loop
 * stays free.
 */
export const draw = Effect.fnUntraced(function*<T extends object>(spec: T, seed: number) {
  const leaves = Tree.leaves<Parameter.Parameter<Shape>>(spec)
  const sizes = leaves.map(([, { shape }]) => HostTensor.size(shape))
  const size = sizes.reduce((sum, one) => sum + one, 0)
  if (size < LARGE && sizes.every((one) => one < LONG)) {
    const values: Record<string, Values[string]> = {}
    for (const [path, leaf] of leaves) {
      values[path] = Parameter.initialise({ [path]: leaf }, seed)[path]!
      yield* Pauses.pause
    }
    return Tree.map<Parameter.ValuesOf<T>>(spec, (_, path) => values[path])
  }
  const threads = Math.min(availableParallelism(), Math.max(1, Math.floor(size / LARGE)))
  const drawn = yield* Effect.forEach(shares(spec, seed, threads), drawnByThread, { concurrency: "unbounded" })
  const values: Values = Object.assign({}, ...drawn)
  return Tree.map<Parameter.ValuesOf<T>>(spec, (_, path) => values[path])
})
