/** Laws of stages. */
import * as tf from "@tensorflow/tfjs-core"
import { Context, Effect, Layer, type ManagedRuntime } from "effect"
import { Engine } from "../layers/engine/Engine.ts"
import type { Checkpoints } from "../layers/run/Checkpoints.ts"
import * as Runs from "../layers/run/Runs.ts"
import type { StageOptions } from "../pipelines/training/Stage.ts"
import * as Claim from "./Claim.ts"
import { fc } from "./FastCheck.ts"
import * as Interruption from "./Interruption.ts"
import { type Law, make } from "./Law.ts"

type Run = Runs.Runs | Checkpoints

/** The stage that the laws check. */
export interface StageUnderLaw<A, E, R> {
  /** Trains the stage and returns its result as plain data, such as arrays. */
  readonly train: (options: StageOptions) => Effect.Effect<A, E, R | Run>
  /** The number of steps that it takes. A few are enough. */
  readonly steps: number
}

/**
 * Returns the laws of a stage. The runtime holds the engine and all other services of the stage except its run. The laws make
 * the run in memory. The runtime's owner disposes of it.
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
  const watched = Effect.fnUntraced(function*(options: StageOptions) {
    const points = new Map<string, number>()
    const watch = yield* Interruption.watching((point, call) =>
      Effect.andThen(Effect.sync(() => points.set(point, 1 + (points.get(point) ?? 0))), call)
    )
    return { ...(yield* watch(whole(options))), points }
  })
  let expected: Promise<Effect.Success<ReturnType<typeof watched>>> | undefined
  const unbroken = () => expected ??= inRun(watched({ checkpointEvery: 1 }))
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
      "ends with the same bytes and the same log after interruptions at any point",
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
        Claim.same(broken.learned, all.learned, "the learned result")
      },
      some
    ),

    make(
      "leaves nothing alive after interruption or failure",
      fc.record({ checkpointEvery: fc.integer({ min: 1, max: steps + 1 }) }),
      async (options) => {
        const { points } = await unbroken()
        await inRun(Effect.gen(function*() {
          const { memory } = yield* Engine
          const held = Effect.map(memory, (own) => ({ ...own, ours: tf.memory().numTensors }))
          const before = yield* held
          // Each attempt goes on where the last one ended; one round finishes a stage at least.
          for (const _ of Array.from({ length: points.get("done") ?? 1 })) {
            for (const point of points.keys()) {
              yield* Interruption.interruptedAt({ point: `in ${point}`, call: 1 }, train(options))
              Claim.same(yield* held, before, `the memory held after an interruption in ${point}`)
              yield* Interruption.failedAt({ point: `before ${point}`, call: 1 }, train(options))
              Claim.same(yield* held, before, `the memory held after a failure before ${point}`)
            }
          }
        }))
      },
      { numRuns: 1 }
    ),

    make(
      "repeats no step that it has taken",
      fc.integer({ min: 1, max: steps }),
      (call) =>
        inRun(Effect.gen(function*() {
          const before = yield* taken(Interruption.interruptedAt({ point: "in report", call }, train({})))
          const all = before + (yield* taken(train({})))
          Claim.same(all, steps, `the number of steps with an interruption in report ${call}`)
          Claim.same(yield* taken(train({})), 0, "the number of steps of a stage that has finished")
        })),
      some
    )
  ]
}
