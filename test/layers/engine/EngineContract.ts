import { assert } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Fiber, Result, Runtime, Scope } from "effect"
import { Engine, type EngineError } from "../../../src/layers/engine/Engine.ts"
import * as Elementwise from "../../../src/shapes/Elementwise.ts"
import * as Gradient from "../../../src/shapes/Gradient.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Reduction from "../../../src/shapes/Reduction.ts"
import type { TrainStep } from "../../../src/shapes/Step.ts"
import { type Tensor, unsafeTyped, untyped } from "../../../src/shapes/Tensor.ts"
import * as Tree from "../../../src/shapes/Tree.ts"
import { type Candidate, on, reference } from "./engines.ts"
import * as Steps from "./steps.ts"

const trainedBy = Effect.fnUntraced(function*(accumulate: number) {
  const engine = yield* Engine
  const handle = yield* engine.train(Steps.regressionOf(accumulate), Steps.initial(accumulate))
  const metrics = yield* Effect.forEach([0, 1, 2, 3, 4], (step) => handle.run(Steps.batchOf(accumulate)(step)))
  return { metrics, state: (yield* handle.snapshot).state }
}, Effect.scoped)

export const trained = trainedBy(1)

const close = (a: object, b: object) => {
  const expected = new Map(Tree.leaves<HostTensor.Any>(b))
  const found = Tree.leaves<HostTensor.Any>(a)
  assert.deepStrictEqual(found.map(([path]) => path), [...expected.keys()])
  for (const [path, leaf] of found) {
    assert.deepStrictEqual(leaf.shape, expected.get(path)!.shape)
    leaf.data.forEach((value, i) => assert.approximately(value, expected.get(path)!.data[i]!, 1e-5, path))
  }
}

export const reasonOf = <A, R>(effect: Effect.Effect<A, EngineError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

/** What every engine does. `spare` is what it holds beside a state. */
export const contract = (candidate: Candidate, spare = { tensors: 0, bytes: 0 }): void =>
  on(candidate, (it) => {
    it.effect("takes five steps as the reference does", () =>
      Effect.gen(function*() {
        const found = yield* trained
        const expected = yield* Effect.provide(trained, reference.layer)
        close(found.metrics, expected.metrics)
        close(found.state, expected.state)
        const losses = found.metrics.map(({ loss }) => HostTensor.item(loss))
        assert.isBelow(losses[4]!, losses[0]!)
      }))

    it.effect("takes several steps for one update as the reference does", () =>
      Effect.gen(function*() {
        const found = yield* trainedBy(2)
        const expected = yield* Effect.provide(trainedBy(2), reference.layer)
        close(found.metrics, expected.metrics)
        close(found.state, expected.state)
      }))

    it.effect("gives the same bytes for the same steps", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* trained, yield* trained)
      }))

    it.effect("returns records with lists in them", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.infer(Steps.affine, Steps.weights())
        const outputs = yield* handle.run(Steps.x())
        assert.isTrue(Array.isArray(outputs))
        assert.deepStrictEqual(outputs.map(({ shape }) => shape), [[4, 2], [4, 2]])
        outputs[1]!.data.forEach((value, i) => assert.approximately(value, 2 * outputs[0]!.data[i]!, 1e-6))
      }))

    it.effect("adds up the squares of millions of numbers", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.infer(Steps.length, {})
        const x = Float32Array.from({ length: 3000 * 1024 }, (_, i) => 1e-4 * (2 + Math.sin(i)))
        const { norm } = yield* handle.run({ x: { shape: [3000, 1024], dtype: "float32", data: x } })
        const expected = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0))
        assert.approximately(HostTensor.item(norm) / expected, 1, 1e-6)
      }))

    it.effect("leaves the arrays it is given alone", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const [state, batch] = [Steps.initial(), Steps.batch(0)]
        const handle = yield* engine.train(Steps.regression, state)
        yield* handle.run(batch)
        const first = (yield* handle.snapshot).state
        yield* handle.run(batch)
        assert.deepStrictEqual(state, Steps.initial())
        assert.deepStrictEqual(batch, Steps.batch(0))
        assert.notDeepEqual((yield* handle.snapshot).state, first)
      }))

    it.effect("says which input is not what the step declares", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.regression, Steps.initial())
        const batch = Steps.batch(0)
        const wrong = { ...batch, x: Steps.values([4, 2], () => 0) } as unknown as typeof batch
        const error = yield* Effect.flip(handle.run(wrong))
        assert.strictEqual(
          error.message,
          "engine, regression: batch.x must be float32 [4, 3] but is float32 [4, 2]"
        )
        assert.strictEqual(error[Runtime.errorExitCode], 65)
        const { hyper: _, ...lacking } = batch
        const missing = yield* Effect.flip(handle.run(lacking as typeof batch))
        assert.match(missing.message, /batch\.hyper\.rate must be float32 \[\] but is missing/)
        const short = { ...batch, y: { ...batch.y, data: new Float32Array(7) } }
        assert.match((yield* Effect.flip(handle.run(short))).message, /float32 \[4, 2\] with 7 values/)
        const { parameters: __, ...stateless } = Steps.initial()
        const opened = engine.train(Steps.regression, stateless as ReturnType<typeof Steps.initial>)
        assert.match((yield* Effect.flip(opened)).message, /state\.parameters\.weight must be .* is missing/)
        yield* handle.run(batch)
      }))

    it.effect("refuses handles whose scope is closed", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const scope = yield* Scope.make()
        const handle = yield* Scope.provide(engine.train(Steps.regression, Steps.initial()), scope)
        const infer = yield* Scope.provide(engine.infer(Steps.affine, Steps.weights()), scope)
        yield* handle.run(Steps.batch(0))
        yield* Scope.close(scope, Exit.void)
        const reasons = [
          yield* reasonOf(handle.run(Steps.batch(1))),
          yield* reasonOf(handle.snapshot),
          yield* reasonOf(infer.run(Steps.x()))
        ]
        assert.deepStrictEqual(reasons.map(({ _tag }) => _tag), ["Disposed", "Disposed", "Disposed"])
      }))

    it.effect("counts what handles hold", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const empty = yield* engine.memory
        assert.deepStrictEqual(empty, { handles: 0, tensors: 0, bytes: 0 })
        const held = yield* Effect.scoped(Effect.gen(function*() {
          yield* engine.train(Steps.regression, Steps.initial())
          yield* engine.infer(Steps.affine, Steps.weights())
          return yield* engine.memory
        }))
        assert.deepStrictEqual(held, { handles: 2, tensors: 8 + spare.tensors, bytes: 4 * 8 * 4 + spare.bytes })
        assert.deepStrictEqual(yield* engine.memory, empty)
      }))

    it.effect("says at which step the loss was not finite, and goes on", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.regression, Steps.initial())
        yield* handle.run(Steps.batch(0))
        const before = yield* handle.snapshot
        const broken = { ...Steps.batch(1), x: Steps.values([4, 3], () => NaN) }
        const error = yield* Effect.flip(handle.run(broken))
        assert.match(error.message, /regression: the loss of step 2 is NaN/)
        assert.strictEqual(error[Runtime.errorExitCode], 70)
        assert.deepStrictEqual(yield* handle.snapshot, before)
        yield* handle.run(Steps.batch(1))
        assert.strictEqual((yield* handle.snapshot).steps, before.steps + 1)
        assert.notDeepEqual((yield* handle.snapshot).state, before.state)
      }))

    it.effect("says at which step the norm of the gradients was not finite, and goes on", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.rooted, { w: Steps.values([1], () => 0) })
        const at = (x: number) => ({ x: Steps.values([1], () => x) })
        yield* handle.run(at(1))
        const before = yield* handle.snapshot
        const error = yield* Effect.flip(handle.run(at(-0.5)))
        assert.match(error.message, /rooted: the gradientNorm of step 2 is Infinity/)
        assert.strictEqual(error[Runtime.errorExitCode], 70)
        assert.deepStrictEqual(yield* handle.snapshot, before)
        yield* handle.run(at(4))
      }))

    it.effect("refuses a step that changes the shape of its state", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const spec = { shape: [2, 3] as [2, 3], dtype: "float32" } as const
        const step: TrainStep<{ readonly w: Tensor<[2, 3]> }, object, object> = {
          name: "turn",
          state: { w: spec },
          batch: {},
          run: ({ w }) => ({ metrics: {}, state: { w: unsafeTyped(tf.transpose(untyped(w))) } })
        }
        const turn = Effect.flatMap(
          engine.train(step, { w: Steps.values([2, 3], () => 0) }),
          (handle) => handle.run({})
        )
        const error = yield* Effect.flip(turn)
        assert.match(error.message, /turn: .*state\.w is float32 \[2, 3\] but the step makes it float32 \[3, 2\]/)
      }))

    it.effect("restores the backend that was set", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const before = tf.getBackend()
        const handle = yield* engine.infer(Steps.affine, Steps.weights())
        yield* handle.run(Steps.x())
        assert.strictEqual(tf.getBackend(), before)
        assert.deepStrictEqual([...tf.tensor([1, 2]).mul(2).dataSync()], [2, 4])
      }))

    it.effect("takes each step whole, whoever is interrupted", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.regression, Steps.initial())
        const fiber = yield* Effect.forkChild(handle.run(Steps.batch(0)), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        const interrupted = yield* handle.snapshot
        const other = yield* engine.train(Steps.regression, Steps.initial())
        yield* other.run(Steps.batch(0))
        assert.deepStrictEqual(interrupted, yield* other.snapshot)
        const broken = { ...Steps.batch(1), x: Steps.values([4, 3], () => NaN) }
        assert.match((yield* Effect.flip(handle.run(broken))).message, /step 2/)
      }))

    it.effect("counts on from the steps that made the first state", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const begun = yield* engine.train(Steps.regression, Steps.initial())
        yield* begun.run(Steps.batch(0))
        const { state, steps } = yield* begun.snapshot
        const handle = yield* engine.train(Steps.regression, state, steps)
        for (const one of [begun, handle]) yield* one.run(Steps.batch(1))
        assert.deepStrictEqual(yield* handle.snapshot, yield* begun.snapshot)
        assert.strictEqual((yield* handle.snapshot).steps, 2)
      }))

    it.effect("gives no state with another's number, whoever asks while steps are taken", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.regression, Steps.initial())
        const asked = yield* Effect.forEach(
          [0, 1, 2, 3],
          (step) => Effect.all([handle.run(Steps.batch(step)), handle.snapshot], { concurrency: "unbounded" }),
          {
            concurrency: "unbounded"
          }
        )
        const other = yield* engine.train(Steps.regression, Steps.initial())
        const states = [(yield* other.snapshot).state]
        for (const step of [0, 1, 2, 3]) {
          yield* other.run(Steps.batch(step))
          states.push((yield* other.snapshot).state)
        }
        for (const [, { state, steps }] of asked) assert.deepStrictEqual(state, states[steps])
      }))

    it.effect("takes no step whose caller went before its turn", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.regression, Steps.initial())
        const first = yield* Effect.forkChild(handle.run(Steps.batch(0)), { startImmediately: true })
        const second = yield* Effect.forkChild(handle.run(Steps.batch(1)), { startImmediately: true })
        const taken = second.pollUnsafe() === undefined ? [0] : [0, 1]
        yield* Fiber.interrupt(second)
        yield* Fiber.join(first)
        const other = yield* engine.train(Steps.regression, Steps.initial())
        yield* Effect.forEach(taken, (step) => other.run(Steps.batch(step)))
        assert.deepStrictEqual(yield* handle.snapshot, { ...(yield* other.snapshot), steps: taken.length })
      }))

    it.effect("keeps apart what runs at once, and nothing of a run", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const alone = yield* engine.train(Steps.regression, Steps.initial())
        const handles = yield* Effect.forEach([0, 1, 2], () => engine.train(Steps.regression, Steps.initial()))
        const held = yield* engine.memory
        const steps = [0, 1, 2, 3]
        yield* Effect.forEach(
          handles,
          (handle) => Effect.forEach(steps, (step) => handle.run(Steps.batch(step)), { concurrency: "unbounded" }),
          { concurrency: "unbounded" }
        )
        yield* Effect.forEach(steps, (step) => alone.run(Steps.batch(step)))
        const expected = (yield* alone.snapshot).state
        for (const handle of handles) assert.deepStrictEqual((yield* handle.snapshot).state, expected)
        assert.deepStrictEqual(yield* engine.memory, held)
      }))

    it.effect("says that memory is short and lives on, the state as it was or said to be torn", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const w = Steps.values([1], () => 1)
        const opened = yield* Effect.result(engine.train(Steps.greedy, { w }))
        const held = yield* engine.memory
        const error = yield* Effect.flip(Effect.flatMap(Effect.fromResult(opened), (handle) => handle.run({ x: w })))
        assert.strictEqual(error.reason._tag, "OutOfMemory", error.message)
        assert.strictEqual(error[Runtime.errorExitCode], 70)
        assert.deepStrictEqual(yield* engine.memory, held)
        if (Result.isSuccess(opened)) {
          const state = yield* Effect.result(opened.success.snapshot)
          if (Result.isSuccess(state)) assert.deepStrictEqual(state.success, { steps: 0, state: { w } })
          else assert.strictEqual(state.failure.reason._tag, "StateCorrupted")
        }
        const other = yield* engine.infer(Steps.affine, Steps.weights())
        yield* other.run(Steps.x())
      }))

    it.effect("frees what a failing step made", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const step: TrainStep<{ readonly w: Tensor<[2]> }, object, { readonly loss: Tensor<[]> }> = {
          name: "failing",
          state: { w: { shape: [2], dtype: "float32" } },
          batch: {},
          run: ({ w }) => {
            const { loss } = Gradient.valueAndGradient((p: { readonly w: Tensor<[2]> }) => {
              const sum = Reduction.sum(Elementwise.square(p.w))
              untyped(sum).reshape([7])
              return { loss: sum, aux: {} }
            }, { w })
            return { metrics: { loss }, state: { w } }
          }
        }
        const before = { engine: yield* engine.memory, tensors: tf.memory().numTensors }
        const failing = Effect.flatMap(
          engine.train(step, { w: Steps.values([2], (i) => i) }),
          (handle) => handle.run({})
        )
        const error = yield* Effect.flip(Effect.scoped(failing))
        assert.strictEqual(error.reason._tag, "Failed")
        assert.deepStrictEqual({ engine: yield* engine.memory, tensors: tf.memory().numTensors }, before)
      }))
  })
