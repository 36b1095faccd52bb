/** Random sequences of actions on an engine's handles. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Exit, Fiber, Scope } from "effect"
import type { Arbitrary } from "fast-check"
import * as Engine from "../layers/engine/Engine.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../shapes/Step.ts"
import { type Tensor, unsafeTyped, untyped } from "../shapes/Tensor.ts"
import * as Claim from "./Claim.ts"
import * as Steps from "./EngineSteps.ts"
import { fc } from "./FastCheck.ts"
import { refused } from "./Refused.ts"

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

/** An action, and the index of the open handle that it uses. */
export interface Action {
  readonly kind: Kind
  readonly which: number
}

/** The most actions of a script. */
export const MOST = 12

/** Some actions, each on one of the open handles. */
export const scripts: Arbitrary<ReadonlyArray<Action>> = fc.array(
  fc.record({ kind: fc.constantFrom(...kinds), which: fc.nat(9) }),
  { minLength: 1, maxLength: MOST }
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
    tf.reshape(tf.exp(untyped(batch.x)), [5])
    return Steps.regression.run(state, batch)
  }
}

type Row = Tensor<[3]>

const astray: TrainStep<{ readonly w: Row }, { readonly rows: Tensor<[2], "int32"> }, { readonly loss: Tensor<[]> }> = {
  name: "astray",
  state: { w: { shape: [3], dtype: "float32" } },
  batch: { rows: { shape: [2], dtype: "int32" } },
  run: ({ w }, { rows }) => {
    const picked = tf.gather(tf.exp(untyped(w)), untyped(rows))
    return {
      metrics: { loss: unsafeTyped(tf.sum(picked)) },
      state: { w: unsafeTyped(tf.add(untyped(w), tf.sum(picked))) }
    }
  }
}

const broken = (): HostOf<Steps.Batch> => ({ ...Steps.batch(0), x: Steps.values([4, 3], () => Infinity) })

const wrong = (): HostOf<Steps.Batch> => ({ ...Steps.batch(0), x: { ...Steps.batch(0).x, data: new Float32Array(5) } })

const tagOf = <A>(effect: Effect.Effect<A, Engine.EngineError>) =>
  Effect.map(refused(effect, "an invalid action"), ({ reason }) => reason._tag)

const interrupted = Effect.fnUntraced(function*<A, E>(running: Effect.Effect<A, E>, yields: number) {
  const fiber = yield* Effect.forkChild(running, { startImmediately: yields % 2 === 0 })
  for (let turn = 0; turn < yields; turn++) yield* Effect.yieldNow
  yield* Fiber.interrupt(fiber)
})

/**
 * Runs the actions in order. After each one it claims that the engine holds only the memory of its open handles, and at the end
 * none.
 */
export const play = Effect.fnUntraced(function*(script: ReadonlyArray<Action>) {
  const tensors = tf.memory().numTensors
  const engine = yield* Engine.Engine
  // Who interrupts the actions closes all handles.
  const all = yield* Effect.scope
  const trainees: Array<Trainee> = []
  const students: Array<Student> = []
  const closed: Array<Trainee> = []

  const act = Effect.fnUntraced(function*({ kind, which }: Action) {
    const trainee = trainees[which % Math.max(1, trainees.length)]
    const student = students[which % Math.max(1, students.length)]
    switch (kind) {
      case "train": {
        const scope = yield* Scope.fork(all)
        trainees.push({
          scope,
          steps: 0,
          handle: yield* Scope.provide(engine.train(Steps.regression, Steps.initial()), scope)
        })
        return
      }
      case "infer": {
        const scope = yield* Scope.fork(all)
        students.push({ scope, handle: yield* Scope.provide(engine.infer(Steps.affine, Steps.weights()), scope) })
        return
      }
      case "untraceable": {
        const ran = Effect.flatMap(engine.train(untraceable, Steps.initial()), (handle) => handle.run(Steps.batch(0)))
        const tag = yield* tagOf(Effect.scoped(ran))
        Claim.holds(tag === "Failed" || tag === "WrongShape", () => `a step that cannot be traced fails with ${tag}`)
        return
      }
      case "astray": {
        const rows = HostTensor.make([2], "int32", Int32Array.of(0, which))
        const handle = yield* engine.train(astray, { w: Steps.values([3], (i) => i) })
        const held = yield* engine.memory
        const ran = yield* Effect.exit(handle.run({ rows }))
        Claim.holds(which > 2 || Exit.isSuccess(ran), () => `row ${which} of 3 is refused`)
        Claim.same(yield* engine.memory, held, "the memory held after a row out of range")
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
        if (trainee !== undefined) Claim.same(yield* tagOf(trainee.handle.run(wrong())), "BadInput", "the reason")
        return
      case "broken":
        if (trainee !== undefined) {
          const { reason } = yield* refused(trainee.handle.run(broken()), "an infinite loss")
          Claim.same(
            { ...reason },
            { ...new Engine.NonFinite({ step: trainee.steps + 1, metric: "loss", value: "Infinity" }) },
            "the reason"
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
          Claim.holds(Exit.isSuccess(exit) || which % 2 === 1, () => "a step that was handed over is not finished")
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
    Claim.same(
      yield* engine.memory,
      {
        handles: before.handles + trainees.length + students.length,
        tensors: before.tensors + trainees.length * trained.tensors + students.length * inferred.tensors,
        bytes: before.bytes + trainees.length * trained.bytes + students.length * inferred.bytes
      },
      `the memory held after "${action.kind}"`
    )
  }
  for (const { handle, steps } of trainees) {
    const other = yield* Scope.fork(all)
    const fresh = yield* Scope.provide(engine.train(Steps.regression, Steps.initial()), other)
    for (let step = 0; step < steps; step++) yield* fresh.run(Steps.batch(step))
    Claim.same(yield* handle.snapshot, yield* fresh.snapshot, `the state of ${steps} steps`)
    yield* Scope.close(other, Exit.void)
  }
  for (const { scope } of [...trainees, ...students]) yield* Scope.close(scope, Exit.void)
  for (const { handle } of closed) {
    Claim.same(yield* tagOf(handle.snapshot), "Disposed", "the reason of a closed handle")
  }
  Claim.same(yield* engine.memory, before, "the memory held when all handles are closed")
  Claim.same(tf.memory().numTensors, tensors, "the number of tensors in TensorFlow.js")
}, Effect.scoped)
