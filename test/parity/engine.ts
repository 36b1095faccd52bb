import { Effect } from "effect"
import { Engine } from "../../src/layers/engine/Engine.ts"
import type { HostOf, Inference, SpecOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"

type Nothing = Readonly<Record<never, never>>

/** One run of an inference on the engine in the environment. */
export const infer = Effect.fnUntraced(
  function*<W, B, O>(inference: Inference<W, B, O>, weights: HostOf<W>, batch: HostOf<B>) {
    const handle = yield* (yield* Engine).infer(inference, weights)
    return yield* handle.run(batch)
  },
  Effect.scoped
)

/** An inference on the same weights and batches that gives something else. */
export const looking = <W, B, O, P>(
  inference: Inference<W, B, O>,
  run: (weights: W, batch: B) => P
): Inference<W, B, P> => ({ ...inference, run })

/** Functions of networks, run on the engine in the environment. */
export const compute = <I extends object, O>(inputs: HostOf<I>, run: (inputs: I) => O) =>
  infer<Nothing, I, O>(
    {
      name: "parity",
      weights: {},
      batch: Tree.map<SpecOf<I>>(inputs as object, ({ dtype, shape }) => ({ dtype, shape })),
      run: (_, given) => run(given)
    },
    {},
    inputs
  )

/** Takes a step for every batch, and gives what each measured and the state after it. */
export const train = Effect.fnUntraced(
  function*<S, B, M>(step: TrainStep<S, B, M>, initial: HostOf<S>, batches: ReadonlyArray<HostOf<B>>) {
    const handle = yield* (yield* Engine).train(step, initial)
    return yield* Effect.forEach(batches, (batch) =>
      Effect.gen(function*() {
        const metrics = yield* handle.run(batch)
        return { metrics, state: (yield* handle.snapshot).state }
      }))
  },
  Effect.scoped
)
