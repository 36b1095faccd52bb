import * as tf from "@tensorflow/tfjs-core"
import { Effect, Fiber, Layer } from "effect"
import fc from "fast-check"
import { setImmediate, setTimeout } from "node:timers/promises"
import { isDeepStrictEqual } from "node:util"
import * as EngineScript from "../../src/laws/EngineScript.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { resources } from "./resources.ts"

const sequences = fc.record({ script: EngineScript.scripts, turns: fc.nat(60) })

const EACH = [
  "actions",
  "interrupted actions",
  "out of memory",
  "another engine",
  "another engine, interrupted"
] as const

type Kind = typeof EACH[number]

const KINDS: ReadonlyArray<Kind> = [
  ...EACH,
  ...Array.from(
    { length: 45 },
    (_, index): Kind => index % 3 === 0 ? "interrupted actions" : index % 22 === 1 ? "out of memory" : "actions"
  )
]

type Drawn = typeof sequences extends fc.Arbitrary<infer A> ? A : never

export interface Sequence extends Drawn {
  readonly kind: Kind
}

export const drawn = (seed: number, count: number): ReadonlyArray<Sequence> =>
  fc.sample(sequences, { seed, numRuns: count }).map((one, index) => ({ ...one, kind: KINDS[index % KINDS.length]! }))

const SETTLES = 100
const MILLIS = 20

const crowd = Effect.forEach(
  ["train", "infer"] as const,
  (kind) => EngineScript.play(Array.from({ length: EngineScript.MOST }, () => ({ kind, which: 0 }))),
  { discard: true }
)

export const warmUp = (another: Layer.Layer<Engine.Engine, Engine.EngineError>) =>
  Effect.andThen(crowd, Effect.provide(crowd, Layer.fresh(another), { local: true }))

const held = Effect.gen(function*() {
  const { bytes, handles, tensors } = yield* (yield* Engine.Engine).memory
  return { bytes, handles, tensors, ours: tf.memory().numTensors, ...resources() }
})

export type Held = Effect.Success<typeof held>

const interruptedAfter = Effect.fnUntraced(function*<A, E, R>(turns: number, self: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(self)
  for (let turn = 0; turn < turns; turn++) yield* Effect.promise(() => setImmediate())
  yield* Fiber.interrupt(fiber)
})

const greedy = Effect.scoped(Effect.gen(function*() {
  const w = Steps.values([1], () => 1)
  const handle = yield* (yield* Engine.Engine).train(Steps.greedy, { w })
  return yield* handle.run({ x: w })
})).pipe(Effect.flip, Effect.orDie)

const played = ({ kind, script, turns }: Sequence, another: Layer.Layer<Engine.Engine, Engine.EngineError>) => {
  const actions = EngineScript.play(script)
  const elsewhere = Effect.provide(actions, Layer.fresh(another), { local: true })
  switch (kind) {
    case "out of memory":
      return greedy
    case "interrupted actions":
      return interruptedAfter(turns, actions)
    case "another engine":
      return elsewhere
    case "another engine, interrupted":
      return interruptedAfter(turns * turns, elsewhere)
    default:
      return actions
  }
}

const isGivenBack = (after: Held, before: Held, most: number) =>
  isDeepStrictEqual({ ...after, threads: 0 }, { ...before, threads: 0 }) && after.threads <= most

const settled = Effect.fnUntraced(function*(before: Held) {
  let found = yield* held
  for (let turn = 0; turn < SETTLES && !isGivenBack(found, before, before.threads); turn++) {
    yield* Effect.promise(() => setTimeout(MILLIS))
    found = yield* held
  }
  return found
})

export const leaked = Effect.fnUntraced(function*(
  sequence: Sequence,
  another: Layer.Layer<Engine.Engine, Engine.EngineError>,
  most: number
) {
  const before = yield* held
  yield* played(sequence, another)
  const after = yield* settled(before)
  return isGivenBack(after, before, most) ? undefined : { before, after }
})
