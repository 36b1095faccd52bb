/** Laws of stages. */
import { Context, Effect, Layer, type ManagedRuntime } from "effect"
import fc from "fast-check"
import { Engine } from "../layers/engine/Engine.ts"
import type { Checkpoints } from "../layers/run/Checkpoints.ts"
import * as Runs from "../layers/run/Runs.ts"
import type { StageOptions } from "../pipelines/training/Stage.ts"
import * as Claim from "./Claim.ts"
import * as Interruption from "./Interruption.ts"
import { type Law, make } from "./Law.ts"

type Run = Runs.Runs | Checkpoints

/** Which stage is tried. */
export interface StageUnderLaw<A, E, R> {
  /** Trains it, and gives what it learned as plain data: arrays, say. */
  readonly train: (options: StageOptions) => Effect.Effect<A, E, R | Run>
  /** How many steps it takes; a few will do. */
  readonly steps: number
}

/**
 * The laws of a stage. The runtime holds the engine and what else the stage needs, but for its run, which the laws make in
 * memory; whoever made the runtime disposes of it.
 */
export const stage = <A, E, R, X>(
  runtime: ManagedRuntime.ManagedRuntime<R | Engine, X>,
  underLaw: StageUnderLaw<A, E, R | Engine>
): ReadonlyArray<Law> => {
  const { steps, train } = underLaw
  const inRun = <B, F>(body: Effect.Effect<B, F, R | Engine | Run>): Promise<B> =>
    runtime.runPromise(Effect.scoped(Effect.gen(function*() {
      const services = yield* Effect.context<R | Engine>()
      const run = yield* Layer.build(Runs.layerMemory())
      return yield* Effect.promise((signal) => Effect.runPromiseWith(Context.merge(services, run))(body, { signal }))
    })))
  const whole = (options: StageOptions) =>
    Effect.gen(function*() {
      const learned = yield* train(options)
      return { learned, log: yield* (yield* Runs.Runs).readLog }
    })
  const told = ({ call, point }: Interruption.Trap) => `the interruption ${point}, call ${call}`
  let expected: Promise<Effect.Success<ReturnType<typeof whole>>> | undefined
  const unbroken = () => expected ??= inRun(whole({}))
  const taken = Effect.fnUntraced(function*<B, F, S>(self: Effect.Effect<B, F, S>) {
    let count = 0
    const watch = yield* Interruption.watching((point, call) =>
      Effect.suspend(() => {
        if (point === "run") count++
        return call
      })
    )
    yield* watch(self)
    return count
  })
  const some = { numRuns: 3 }

  return [
    make(
      "ends with the same bytes and the same log, wherever it was interrupted",
      fc.record({
        traps: fc.array(Interruption.traps(steps), { minLength: 1, maxLength: 3 }),
        checkpointEvery: fc.integer({ min: 1, max: steps + 1 })
      }),
      async ({ checkpointEvery, traps }) => {
        const all = await unbroken()
        const broken = await inRun(Effect.gen(function*() {
          for (const trap of traps) yield* Interruption.interruptedAt(trap, train({ checkpointEvery }))
          return yield* whole({ checkpointEvery })
        }))
        Claim.same(broken.log, all.log, "the log")
        Claim.same(broken.learned, all.learned, "what was learned")
      },
      some
    ),

    make(
      "leaves nothing alive where it was interrupted",
      Interruption.traps(steps),
      (trap) =>
        inRun(Effect.gen(function*() {
          const { memory } = yield* Engine
          const before = yield* memory
          yield* Interruption.interruptedAt(trap, train({}))
          Claim.same(yield* memory, before, `what the engine holds after ${told(trap)},`)
        })),
      some
    ),

    make(
      "takes no step again that it has taken",
      fc.integer({ min: 1, max: steps }),
      (call) =>
        inRun(Effect.gen(function*() {
          yield* Interruption.interruptedAt({ point: "in report", call }, train({}))
          Claim.same(yield* taken(train({})), steps - call, `the number of steps after ${call} of ${steps}`)
          Claim.same(yield* taken(train({})), 0, "the number of steps of a stage that has finished")
        })),
      some
    )
  ]
}
