import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import type { HostTensor } from "../../src/shapes/HostTensor.ts"
import type { TrainStep } from "../../src/shapes/Step.ts"
import { type Tensor, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"

const SIDE = 32

type Square = Tensor<[32, 32]>

interface Pair {
  readonly a: Square
  readonly b: Square
}

type Step = TrainStep<Pair, { readonly x: Square }, { readonly sum: Tensor<[]> }>

const spec = { shape: [SIDE, SIDE] as [32, 32], dtype: "float32" } as const

const step = (
  name: string,
  run: (state: { a: tf.Tensor; b: tf.Tensor }, x: tf.Tensor) => [tf.Tensor, tf.Tensor, tf.Tensor?]
) => {
  const made: Step = {
    name,
    state: { a: spec, b: spec },
    batch: { x: spec },
    run: (state, batch) => {
      const [a, b, metric] = run({ a: untyped(state.a), b: untyped(state.b) }, untyped(batch.x))
      return {
        metrics: { sum: unsafeTyped(tf.sum(metric ?? a)) },
        state: { a: unsafeTyped(a), b: unsafeTyped(b) }
      }
    }
  }
  return made
}

const inPlace = (made: Step) =>
  Object.fromEntries(
    OnnxProgram.trainStep(made).updates.map((update) => [update.input.slice("state.".length), update.inPlace])
  )

const safe: ReadonlyArray<readonly [string, Step]> = [
  ["an update of a value by itself", step("own", ({ a, b }, x) => [tf.add(tf.mul(a, 0.5), x), tf.sub(b, x)])],
  [
    "updates behind a norm that has read everything",
    step("barrier", ({ a, b }, x) => {
      const [da, db] = [tf.matMul(x, b), tf.matMul(a, x)]
      const norm = tf.add(tf.sqrt(tf.add(tf.sum(tf.square(da)), tf.sum(tf.square(db)))), 1)
      return [tf.sub(a, tf.div(da, norm)), tf.sub(b, tf.div(db, norm)), norm]
    })
  ],
  ["a value that is kept", step("kept", ({ a, b }, x) => [a, tf.add(b, x)])],
  ["a value that is replaced unread", step("replaced", ({ b }, x) => [tf.mul(x, 2), tf.add(b, x)])],
  [
    "a choice between the old value and a new one",
    step("choice", ({ a, b }, x) => [tf.where(tf.greater(tf.sum(x), 0), tf.add(a, x), a), tf.add(b, 1)])
  ]
]

const unsafe: ReadonlyArray<readonly [string, Step, { readonly a: boolean; readonly b: boolean }]> = [
  [
    "a metric that reads what is replaced",
    step("late", ({ a, b }, x) => [tf.add(a, x), tf.add(b, x), tf.matMul(a, x)]),
    { a: false, b: true }
  ],
  ["values that change places", step("swap", ({ a, b }) => [b.clone(), a.clone()]), { a: false, b: false }],
  [
    "a gradient that is taken without a barrier",
    step("descent", ({ a, b }, x) => [tf.sub(a, tf.matMul(b, x)), tf.sub(b, tf.matMul(a, x))]),
    { a: false, b: false }
  ],
  [
    "an average that follows the old value",
    step("follow", ({ a, b }, x) => [tf.add(a, x), tf.add(tf.mul(b, 0.9), tf.mul(a, 0.1))]),
    { a: false, b: true }
  ],
  [
    "a view that is read late",
    step(
      "view",
      (
        { a, b },
        x
      ) => [tf.add(a, x), tf.add(b, 1), tf.mul(tf.reshape(a, [SIDE * SIDE, 1]), tf.reshape(x, [1, SIDE * SIDE]))]
    ),
    { a: false, b: true }
  ],
  [
    "a product that is fused with its scale",
    step("scaled", ({ a, b }, x) => [tf.mul(tf.matMul(a, x), 0.5), tf.add(b, 1), x]),
    { a: false, b: true }
  ],
  [
    "a product that is fused with what it is added to",
    step("added", ({ a, b }, x) => [tf.add(tf.matMul(x, a), a), tf.add(tf.matMul(b, x), b), x]),
    { a: false, b: false }
  ],
  [
    "a normalisation of rows",
    step("rows", ({ a, b }, x) => {
      const centred = tf.sub(a, tf.mean(a, -1, true))
      return [tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-6))), tf.add(b, 1), x]
    }),
    { a: false, b: true }
  ]
]

const started = () => ({
  a: Steps.values([SIDE, SIDE], (i) => Math.sin(i + 1) / 8),
  b: Steps.values([SIDE, SIDE], (i) => Math.cos(i * 3) / 8)
})

const run = (made: Step) =>
  Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const handle = yield* engine.train(made, started())
    const metrics = yield* Effect.forEach([1, 2, 3], (step) =>
      handle.run({ x: Steps.values([SIDE, SIDE], (i) => Math.sin(i * step) / 8) }))
    return { metrics, state: (yield* handle.snapshot).state }
  }).pipe(Effect.scoped)

const agrees = Effect.fnUntraced(function*(made: Step) {
  const compiled = yield* Effect.provide(run(made), Engine.layerOnnx())
  const eager = new Map(Tree.leaves<HostTensor>(yield* Effect.provide(run(made), Engine.layerReference)))
  for (const [path, { data }] of Tree.leaves<HostTensor>(compiled)) {
    data.forEach((value, i) => assert.approximately(value, eager.get(path)!.data[i]!, 1e-3, `${made.name} ${path}`))
  }
})

describe("updates in place", () => {
  for (const [name, made] of safe) {
    it.effect(`are made for ${name}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(inPlace(made), { a: true, b: true })
        yield* agrees(made)
      }))
  }

  for (const [name, made, expected] of unsafe) {
    it.effect(`are not made for ${name}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(inPlace(made), expected)
        yield* agrees(made)
      }))
  }
})
