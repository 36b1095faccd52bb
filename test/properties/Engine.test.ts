import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Fiber, Layer, ManagedRuntime, Scope } from "effect"
import fc from "fast-check"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import { type Tensor, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"
import { type Candidate, openvino, present, reference, tensorflow, web } from "../layers/engine/engines.ts"
import * as Steps from "../layers/engine/steps.ts"

const kinds = [
  "train",
  "infer",
  "untraceable",
  "run",
  "wrong",
  "broken",
  "astray",
  "interrupted",
  "abandoned",
  "read",
  "close"
] as const

type Kind = typeof kinds[number]

interface Action {
  readonly kind: Kind
  readonly which: number
}

const actions: fc.Arbitrary<ReadonlyArray<Action>> = fc.array(
  fc.record({ kind: fc.constantFrom(...kinds), which: fc.nat(9) }),
  {
    minLength: 1,
    maxLength: 12
  }
)

interface Trainee {
  readonly scope: Scope.Closeable
  readonly handle: Engine.TrainHandle<Steps.State, Steps.Batch, Steps.Metrics>
  steps: number
}

interface Student {
  readonly scope: Scope.Closeable
  readonly handle: Engine.InferHandle<{ readonly x: Steps.Batch["x"] }, unknown>
}

const untraceable: typeof Steps.regression = {
  ...Steps.regression,
  name: "untraceable",
  run: (state, batch) => {
    untyped(batch.x).exp().reshape([5])
    return Steps.regression.run(state, batch)
  }
}

type Row = Tensor<[3]>

const astray: TrainStep<{ readonly w: Row }, { readonly rows: Tensor<[2], "int32"> }, { readonly loss: Tensor<[]> }> = {
  name: "astray",
  state: { w: { shape: [3], dtype: "float32" } },
  batch: { rows: { shape: [2], dtype: "int32" } },
  run: ({ w }, { rows }) => {
    const picked = untyped(w).exp().gather(untyped(rows))
    return { metrics: { loss: unsafeTyped(picked.sum()) }, state: { w: unsafeTyped(untyped(w).add(picked.sum())) } }
  }
}

const broken = (): HostOf<Steps.Batch> => ({ ...Steps.batch(0), x: Steps.values([4, 3], () => Infinity) })

const wrong = (): HostOf<Steps.Batch> => ({ ...Steps.batch(0), x: { ...Steps.batch(0).x, data: new Float32Array(5) } })

const tagOf = <A>(effect: Effect.Effect<A, Engine.EngineError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

const interrupted = Effect.fnUntraced(function*<A, E>(running: Effect.Effect<A, E>, yields: number) {
  const fiber = yield* Effect.forkChild(running, { startImmediately: yields % 2 === 0 })
  for (let turn = 0; turn < yields; turn++) yield* Effect.yieldNow
  yield* Fiber.interrupt(fiber)
})

const play = Effect.fnUntraced(function*(script: ReadonlyArray<Action>) {
  const engine = yield* Engine.Engine
  const trainees: Array<Trainee> = []
  const students: Array<Student> = []
  const closed: Array<Trainee> = []

  const act = Effect.fnUntraced(function*({ kind, which }: Action) {
    const trainee = trainees[which % Math.max(1, trainees.length)]
    const student = students[which % Math.max(1, students.length)]
    switch (kind) {
      case "train": {
        const scope = yield* Scope.make()
        trainees.push({
          scope,
          steps: 0,
          handle: yield* Scope.provide(engine.train(Steps.regression, Steps.initial()), scope)
        })
        return
      }
      case "infer": {
        const scope = yield* Scope.make()
        students.push({ scope, handle: yield* Scope.provide(engine.infer(Steps.affine, Steps.weights()), scope) })
        return
      }
      case "untraceable": {
        const ran = Effect.flatMap(engine.train(untraceable, Steps.initial()), (handle) => handle.run(Steps.batch(0)))
        assert.include(["Failed", "WrongShape"], yield* tagOf(Effect.scoped(ran)))
        return
      }
      case "astray": {
        const rows = HostTensor.make([2], "int32", Int32Array.of(0, which))
        const handle = yield* engine.train(astray, { w: Steps.values([3], (i) => i) })
        const held = yield* engine.memory
        const ran = yield* Effect.exit(handle.run({ rows }))
        assert.isTrue(which > 2 || Exit.isSuccess(ran))
        assert.deepStrictEqual(yield* engine.memory, held)
        return
      }
      case "run":
        if (trainee !== undefined) {
          yield* trainee.handle.run(Steps.batch(trainee.steps))
          trainee.steps++
        }
        if (student !== undefined) yield* student.handle.run(Steps.x())
        return
      case "wrong":
        if (trainee !== undefined) assert.strictEqual(yield* tagOf(trainee.handle.run(wrong())), "BadInput")
        return
      case "broken":
        if (trainee !== undefined) {
          const { reason } = yield* Effect.flip(trainee.handle.run(broken()))
          assert.deepStrictEqual(
            reason,
            new Engine.NonFinite({ step: trainee.steps + 1, metric: "loss", value: "Infinity" })
          )
        }
        return
      case "interrupted":
        if (trainee !== undefined) {
          yield* interrupted(trainee.handle.run(Steps.batch(trainee.steps)), which)
          trainee.steps = (yield* trainee.handle.snapshot).steps
        }
        if (student !== undefined) yield* interrupted(student.handle.run(Steps.x()), which)
        return
      case "abandoned":
        if (trainee !== undefined) {
          const running = yield* Effect.forkChild(trainee.handle.run(Steps.batch(trainee.steps)), {
            startImmediately: which % 2 === 0
          })
          yield* Scope.close(trainee.scope, Exit.void)
          const exit = yield* Fiber.await(running)
          assert.isTrue(Exit.isSuccess(exit) || which % 2 === 1)
          closed.push(...trainees.splice(trainees.indexOf(trainee), 1))
        }
        return
      case "read":
        if (trainee !== undefined) yield* trainee.handle.snapshot
        return
      case "close":
        if (trainee !== undefined) {
          yield* Scope.close(trainee.scope, Exit.void)
          closed.push(...trainees.splice(trainees.indexOf(trainee), 1))
        }
        if (student !== undefined) {
          yield* Scope.close(student.scope, Exit.fail("for any reason"))
          students.splice(students.indexOf(student), 1)
        }
    }
  })

  const before = yield* engine.memory
  const added = (opened: Effect.Effect<unknown, Engine.EngineError, Scope.Scope>) =>
    Effect.map(Effect.scoped(Effect.andThen(opened, engine.memory)), ({ bytes, tensors }) => ({
      bytes: bytes - before.bytes,
      tensors: tensors - before.tensors
    }))
  const trained = yield* added(engine.train(Steps.regression, Steps.initial()))
  const inferred = yield* added(engine.infer(Steps.affine, Steps.weights()))
  for (const action of script) {
    yield* Effect.scoped(act(action))
    assert.deepStrictEqual(yield* engine.memory, {
      handles: before.handles + trainees.length + students.length,
      tensors: before.tensors + trainees.length * trained.tensors + students.length * inferred.tensors,
      bytes: before.bytes + trainees.length * trained.bytes + students.length * inferred.bytes
    })
  }
  for (const { handle, steps } of trainees) {
    const other = yield* Scope.make()
    const fresh = yield* Scope.provide(engine.train(Steps.regression, Steps.initial()), other)
    for (let step = 0; step < steps; step++) yield* fresh.run(Steps.batch(step))
    assert.deepStrictEqual(yield* handle.snapshot, yield* fresh.snapshot)
    yield* Scope.close(other, Exit.void)
  }
  for (const { scope } of [...trainees, ...students]) yield* Scope.close(scope, Exit.void)
  for (const { handle } of closed) assert.strictEqual(yield* tagOf(handle.snapshot), "Disposed")
  assert.deepStrictEqual(yield* engine.memory, before)
})

const oneThread: Candidate = { name: "onnx", layer: Engine.layerOnnx({ threads: 1 }) }

for (const { layer, name } of present([oneThread, openvino, reference, tensorflow, web])) {
  describe(`whatever is done with handles of the ${name} engine`, () => {
    const runtime = ManagedRuntime.make(Layer.fresh<Engine.Engine, Engine.EngineError, never>(layer))
    beforeAll(() => runtime.runPromise(Effect.asVoid(Engine.Engine)))
    afterAll(() => runtime.dispose())

    it("they hold what they should, and nothing when they are closed", async () => {
      const tensors = tf.memory().numTensors
      await fc.assert(
        fc.asyncProperty(actions, (script) => runtime.runPromise(play(script))).afterEach(() => {
          assert.strictEqual(tf.memory().numTensors, tensors)
        }),
        { numRuns: name === openvino.name ? 15 : 40 }
      )
    })
  })
}
