/** How much memory the machine has, and how much a step's state takes of it. */
import { Effect } from "effect"
import * as os from "node:os"
import { EngineError, OutOfMemory } from "../../layers/engine/Engine.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Tree from "../../shapes/Tree.ts"

/** The bytes of the machine, or of the container that the process is in. */
export const total = (): number => Math.min(os.totalmem(), process.constrainedMemory() || Infinity)

/** A number of bytes for readers: `2.5 GiB`. */
export const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toPrecision(3)} GiB`

/** How many numbers a record of tensors or of their specifications has. */
export const elements = (spec: object): number =>
  Tree.leaves(spec).reduce((sum, [, { shape }]) => sum + HostTensor.size(shape), 0)

/** Fails with `OutOfMemory` when not even the state of a step fits, before anything of it is allocated. */
export const checkFits = Effect.fnUntraced(function*(program: string, state: object) {
  const [asked, there] = [4 * elements(state), total()]
  if (asked <= there) return
  const detail = `the weights and their update take ${gibibytes(asked)}, and the machine has ${gibibytes(there)}`
  return yield* new EngineError({ program, reason: new OutOfMemory({ detail }) })
})
