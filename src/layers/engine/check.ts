/** The checks that every engine makes of what it is given. */
import { Effect } from "effect"
import type { HostOf } from "../../shapes/Step.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import { NotTraceable as NotTraceableThrown } from "../../compiler/Tracer.ts"
import * as Tree from "../../shapes/Tree.ts"
import { BadInput, EngineError, Failed, NonFinite, NotTraceable, OutOfMemory, WrongShape } from "../Engine.ts"

const describe = (leaf: Tree.Leaf): string => `${leaf.dtype} ${ShapeError.show(leaf.shape)}`

/** The arrays of a record by path, if they are those of the specification. */
export const arrays = Effect.fnUntraced(function*(program: string, group: string, spec: object, given: object) {
  const found = new Map(Tree.leaves<HostTensor.Any>(given))
  for (const [path, leaf] of Tree.leaves(spec)) {
    const array = found.get(path)
    if (array === undefined || describe(array) !== describe(leaf)) {
      const reason = new BadInput({
        input: `${group}.${path}`,
        expected: describe(leaf),
        given: array === undefined ? "missing" : describe(array)
      })
      return yield* new EngineError({ program, reason })
    }
  }
  return found
})

const ALLOCATION = /alloc|out of memory|bad_alloc|array buffer allocation/i

/** The reason for what a runtime threw or reported. */
export const reasonOf = (cause: unknown): EngineError["reason"] => {
  const detail = cause instanceof Error ? cause.message : String(cause)
  if (cause instanceof ShapeError.ShapeError) return new WrongShape({ problem: detail })
  if (cause instanceof NotTraceableThrown) return new NotTraceable({ problem: detail })
  return ALLOCATION.test(detail) ? new OutOfMemory({ detail }) : new Failed({ detail })
}

/** Fails when a metric called `loss` is not finite. */
export const finite = <M>(program: string, step: number, metrics: HostOf<M>): Effect.Effect<HostOf<M>, EngineError> => {
  const [, loss] = Tree.leaves<HostTensor.Any>(metrics as object).find(([path]) => path === "loss") ?? []
  const value = loss?.data[0]
  return value === undefined || Number.isFinite(value)
    ? Effect.succeed(metrics)
    : Effect.fail(new EngineError({ program, reason: new NonFinite({ step, loss: String(value) }) }))
}
