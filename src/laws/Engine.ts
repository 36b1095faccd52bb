/** Laws of engines. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Exit, Fiber, type ManagedRuntime, Result, Runtime, Scope } from "effect"
import { isDeepStrictEqual } from "node:util"
import { Engine, type EngineError, layerReference } from "../layers/engine/Engine.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { HostOf, TrainStep } from "../shapes/Step.ts"
import { type Tensor, unsafeTyped, untyped } from "../shapes/Tensor.ts"
import * as Tree from "../shapes/Tree.ts"
import * as Claim from "./Claim.ts"
import * as EngineScript from "./EngineScript.ts"
import * as Steps from "./EngineSteps.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make, type Options } from "./Law.ts"
import { refused } from "./Refused.ts"

/**
 * Takes five steps of a small regression, with one update for `accumulate` steps. `ema` is the decay of the weights' moving
 * average, null for none.
 */
export const trainedBy = Effect.fnUntraced(function*(accumulate: number, seed = 0, ema: number | null = null) {
  const engine = yield* Engine
  const initial = Steps.initial(accumulate, seed, ema !== null)
  const handle = yield* engine.train(Steps.regressionOf(accumulate, ema), initial)
  const metrics = yield* Effect.forEach(
    [0, 1, 2, 3, 4],
    (step) => handle.run(Steps.batchOf(accumulate, seed)(step))
  )
  return { metrics, state: (yield* handle.snapshot).state }
}, Effect.scoped)

/** Takes five steps of a small regression. */
export const trained = trainedBy(1)

/**
 * Runs inferences of several programs with the same name and different sizes. All are open at once and get two batches each.
 */
const inferred = Effect.fnUntraced(function*(seed: number) {
  const engine = yield* Engine
  const sizes = [4, 1, 7]
  const handles = yield* Effect.forEach(sizes, (rows) => engine.infer(Steps.affineOf(rows), Steps.weights(seed)))
  const mixed = yield* engine.infer(Steps.mixed, { table: Steps.values([5, 3], (i) => (i * 7 + seed) % 11 - 5) })
  const first = yield* mixed.run(Steps.mixture(seed))
  const outputs = yield* Effect.forEach(
    [0, 1],
    (batch) =>
      Effect.forEach(
        handles,
        ({ run }, at) => run({ x: Steps.values([sizes[at]!, 3], (i) => Math.sin(i * 7 + batch + seed)) })
      )
  )
  return { outputs, mixed: [first, yield* mixed.run(Steps.mixture(seed + 1))] }
}, Effect.scoped)

/** Claims that two records of arrays agree. Numbers may differ by a share of the largest number of their array. */
const agree = (found: object, expected: object, within: number, what: string): void => {
  const all = new Map(Tree.leaves<HostTensor.Any>(expected))
  const leaves = Tree.leaves<HostTensor.Any>(found)
  Claim.same(leaves.map(([path]) => path), [...all.keys()], `the list of names in ${what}`)
  for (const [path, leaf] of leaves) {
    const { data, dtype, shape } = all.get(path)!
    Claim.same([...leaf.shape], [...shape], `the shape of ${path} in ${what}`)
    Claim.same(leaf.dtype, dtype, `the element type of ${path} in ${what}`)
    if (dtype === "float32") {
      const strange = (of: ArrayLike<number>) => Array.from(of, (x) => (Number.isFinite(x) ? "finite" : x))
      const finite = (of: ArrayLike<number>) => Array.from(of, (x) => (Number.isFinite(x) ? x : 0))
      const largest = finite(data).reduce((most, x) => Math.max(most, Math.abs(x)), 0)
      Claim.same(strange(leaf.data), strange(data), `${path} in ${what}`)
      Claim.close(finite(leaf.data), finite(data), within * Math.min(1, largest), `${path} in ${what}`)
    } else Claim.same([...leaf.data], [...data], `${path} in ${what}`)
  }
}

const says = (error: EngineError, message: RegExp, exitCode: number): void => {
  Claim.holds(message.test(error.message), () => `the error says "${error.message}", not ${message}`)
  Claim.same(error[Runtime.errorExitCode], exitCode, "the exit code")
}

const tagOf = <A, R>(effect: Effect.Effect<A, EngineError, R>): Effect.Effect<string, never, R> =>
  Effect.map(refused(effect, "an invalid action"), ({ reason }) => reason._tag)

/** A step and its inputs. */
interface Given {
  readonly engine: Engine["Service"]
  readonly seed: number
  readonly initial: () => HostOf<Steps.State>
  readonly batch: (step: number) => HostOf<Steps.Batch>
  /** A batch whose loss is NaN. */
  readonly broken: () => HostOf<Steps.Batch>
}

/** Options for the laws of an engine. */
export interface EngineOptions {
  /** The largest difference from the reference's numbers. The default is 1e-5, which single precision keeps. */
  readonly within?: number
}

/**
 * Returns the laws of an engine: it computes the reference's numbers, its handles keep their promises, and nothing stays alive
 * after success, failure or interruption. The runtime holds the engine while the laws are checked. Its owner disposes of it.
 */
export const engine = <E>(
  runtime: ManagedRuntime.ManagedRuntime<Engine, E>,
  options: EngineOptions = {}
): ReadonlyArray<Law> => {
  const { within = 1e-5 } = options
  const law = (
    name: string,
    body: (given: Given) => Effect.Effect<void, EngineError, Engine | Scope.Scope>,
    options: Options = { numRuns: 3 }
  ) =>
    make(name, fc.nat(99), (seed) => {
      const batch = Steps.batchOf(1, seed)
      const program = Engine.use((engine) =>
        body({
          engine,
          seed,
          initial: () => Steps.initial(1, seed),
          batch,
          broken: () => ({ ...batch(1), x: Steps.values([4, 3], () => NaN) })
        })
      )
      return runtime.runPromise(Effect.scoped(program))
    }, options)
  const once = { numRuns: 1 }

  const asReference = (accumulate: number, ema: number | null = null) =>
    Effect.fnUntraced(function*({ seed }: Given) {
      const found = yield* trainedBy(accumulate, seed, ema)
      const expected = yield* Effect.provide(trainedBy(accumulate, seed, ema), layerReference)
      agree(found.metrics, expected.metrics, within, "the metrics")
      agree(found.state, expected.state, within, "the state")
    })

  return [
    law("takes five steps with the reference's numbers", asReference(1)),

    law("takes several steps for one update with the reference's numbers", asReference(2)),

    law("averages the weights with the reference's numbers", asReference(2, 0.8)),

    law(
      "infers with the reference's numbers, for all element types and with several programs open",
      Effect.fnUntraced(function*({ seed }) {
        const found = yield* inferred(seed)
        agree(found, yield* Effect.provide(inferred(seed), layerReference), within, "the inferences")
      })
    ),

    law(
      "learns",
      Effect.fnUntraced(function*() {
        const losses = (yield* trained).metrics.map(({ loss }) => HostTensor.item(loss))
        Claim.holds(losses[4]! < losses[0]!, () => `the loss goes from ${losses[0]} to ${losses[4]}`)
      }),
      once
    ),

    law(
      "gives the same bytes for the same steps",
      Effect.fnUntraced(function*({ seed }) {
        Claim.same(yield* trainedBy(1, seed), yield* trainedBy(1, seed), "the second result")
      })
    ),

    law(
      "returns lists within records",
      Effect.fnUntraced(function*({ engine }) {
        const handle = yield* engine.infer(Steps.affine, Steps.weights())
        const outputs = yield* handle.run(Steps.x())
        Claim.holds(Array.isArray(outputs), () => "the outputs are no array")
        Claim.same(outputs.map(({ shape }) => shape), [[4, 2], [4, 2]], "the list of shapes")
        Claim.close(outputs[1]!.data, outputs[0]!.data.map((x) => 2 * x), within, "the second output")
      }),
      once
    ),

    law(
      "returns a value under each of its names",
      Effect.fnUntraced(function*({ engine }) {
        const row = (value: number) => Steps.values([3], () => value)
        const handle = yield* engine.train(Steps.repeated, { first: row(1), second: row(2) })
        for (const sum of [6, 15]) {
          const metrics = yield* handle.run({ x: row(3) })
          const expected = { loss: [row(sum), row(sum)], ones: [row(1), row(1), row(1)], given: [row(3), row(3)] }
          Claim.same(metrics, expected, "the record of metrics")
          const { state } = yield* handle.snapshot
          Claim.same(state, { first: row(sum), second: row(sum) }, "the state")
        }
      }),
      once
    ),

    law(
      "sums the squares of millions of numbers accurately",
      Effect.fnUntraced(function*({ engine }) {
        const handle = yield* engine.infer(Steps.length, {})
        const x = Float32Array.from({ length: 3000 * 1024 }, (_, i) => 1e-4 * (2 + Math.sin(i)))
        const { norm } = yield* handle.run({ x: { shape: [3000, 1024], dtype: "float32", data: x } })
        const expected = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0))
        Claim.close([HostTensor.item(norm) / expected], [1], within / 10, "the norm, relative to its expected value,")
      }),
      once
    ),

    law(
      "takes the first of equal numbers and codes, and gives all equal extremes the whole gradient",
      Effect.fnUntraced(function*({ engine }) {
        const { codes, farPlaces, ofLargest, ofRelu, places } = yield* (yield* engine.infer(Steps.edges, {})).run(
          Steps.edge()
        )
        Claim.same([...places.data], [1, 0], "the list of places")
        Claim.same([...farPlaces.data], [300, 0], "the list of places in long rows")
        Claim.same([...codes.data], [1, 2], "the list of codes")
        Claim.close(ofLargest.data, [0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1], 0, "the gradient of the largest numbers")
        Claim.close(ofRelu.data, [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], 0, "the gradient of relu")
      }),
      once
    ),

    law(
      "keeps denormal numbers, or takes them for zero",
      Effect.fnUntraced(function*({ engine }) {
        const { small } = Steps.edge()
        const { copied, halved, squared } = yield* (yield* engine.infer(Steps.edges, {})).run(Steps.edge())
        Claim.same([...copied.data], [...small.data], "the copy of denormal numbers")
        for (const [what, found, exact] of [["half", halved, 0.5], ["square", squared, undefined]] as const) {
          const expected = small.data.map((x) => x * (exact ?? x))
          const kept = found.data.map((x, i) => x === 0 && Math.abs(expected[i]!) < 2 ** -126 ? expected[i]! : x)
          Claim.same([...kept].map((x) => x + 0), [...expected].map((x) => x + 0), `the ${what} of small numbers`)
        }
      }),
      once
    ),

    law(
      "keeps the sign of zero in copies, products and rounding",
      Effect.fnUntraced(function*({ engine }) {
        const { zeros } = Steps.edge()
        const { copiedZeros, negatedZeros, roundedZeros } = yield* (yield* engine.infer(Steps.edges, {})).run(
          Steps.edge()
        )
        Claim.same([...copiedZeros.data], [...zeros.data], "the copy of zeros")
        Claim.same([...negatedZeros.data], [...zeros.data].map((x) => -x), "the product of zeros and -1")
        Claim.same([...roundedZeros.data], [0, -0, 0, -0, -0, 0], "the list of rounded numbers")
      }),
      once
    ),

    law(
      "does not change the arrays that it receives",
      Effect.fnUntraced(function*({ batch, engine, initial }) {
        const [state, given] = [initial(), batch(0)]
        const handle = yield* engine.train(Steps.regression, state)
        yield* handle.run(given)
        const first = (yield* handle.snapshot).state
        yield* handle.run(given)
        Claim.same(state, initial(), "the state that was given")
        Claim.same(given, batch(0), "the batch that was given")
        Claim.holds(
          !isDeepStrictEqual((yield* handle.snapshot).state, first),
          () => "a snapshot has changed with the state, or a step has done nothing"
        )
      })
    ),

    law(
      "names the input that differs from the step's declaration",
      Effect.fnUntraced(function*({ batch, engine, initial }) {
        const handle = yield* engine.train(Steps.regression, initial())
        const given = batch(0)
        const narrow = Steps.values([4, 2], () => 0)
        const wrong = Tree.map<typeof given>(given, (leaf, path) => path === "x" ? narrow : leaf)
        const error = yield* refused(handle.run(wrong), "an array of another shape")
        says(error, /^engine, regression: batch\.x must be float32 \[4, 3\] but is float32 \[4, 2\]; /, 65)
        const { hyper: _, ...lacking } = given
        const missing = yield* refused(handle.run(lacking as typeof given), "a batch that lacks a member")
        says(missing, /batch\.hyper\.rate must be float32 \[\] but is missing/, 65)
        const short = { ...given, y: { ...given.y, data: new Float32Array(7) } }
        says(yield* refused(handle.run(short), "an array that is too short"), /float32 \[4, 2\] with 7 values/, 65)
        const { parameters: __, ...stateless } = initial()
        const opened = engine.train(Steps.regression, stateless as ReturnType<typeof initial>)
        says(
          yield* refused(opened, "a state that lacks a member"),
          /state\.parameters\.weight must be .* is missing/,
          65
        )
        yield* handle.run(given)
      }),
      once
    ),

    law(
      "refuses handles whose scope is closed",
      Effect.fnUntraced(function*({ batch, engine, initial }) {
        const scope = yield* Scope.make()
        const handle = yield* Scope.provide(engine.train(Steps.regression, initial()), scope)
        const infer = yield* Scope.provide(engine.infer(Steps.affine, Steps.weights()), scope)
        yield* handle.run(batch(0))
        yield* Scope.close(scope, Exit.void)
        const run = Effect.exit(handle.run(batch(1)))
        Claim.holds(Exit.isFailure(yield* run), () => "a step was taken after the scope had closed")
        const tags = [
          yield* tagOf(handle.run(batch(1))),
          yield* tagOf(handle.snapshot),
          yield* tagOf(infer.run(Steps.x()))
        ]
        Claim.same(tags, ["Disposed", "Disposed", "Disposed"], "the list of reasons")
      }),
      once
    ),

    law(
      "reports the memory that handles hold",
      Effect.fnUntraced(function*({ engine, initial }) {
        const before = yield* engine.memory
        const held = yield* Effect.scoped(Effect.gen(function*() {
          yield* engine.train(Steps.regression, initial())
          yield* engine.infer(Steps.affine, Steps.weights())
          return yield* engine.memory
        }))
        Claim.same(held.handles - before.handles, 2, "the number of handles")
        // A line is two arrays of eight numbers in all; a state holds three, an inference one.
        Claim.holds(held.tensors - before.tensors >= 8, () => `two handles hold ${held.tensors} tensors, fewer than 8`)
        Claim.holds(
          held.bytes - before.bytes >= 4 * 8 * 4,
          () => `two handles hold ${held.bytes} bytes, fewer than 128`
        )
        Claim.same(yield* engine.memory, before, "the memory held after the scope has closed")
      }),
      once
    ),

    law(
      "names the step whose loss was not finite, and continues",
      Effect.fnUntraced(function*({ batch, broken, engine, initial }) {
        const handle = yield* engine.train(Steps.regression, initial())
        yield* handle.run(batch(0))
        const before = yield* handle.snapshot
        says(
          yield* refused(handle.run(broken()), "a loss that is not a number"),
          /regression: the loss of step 2 is NaN/,
          70
        )
        Claim.same(yield* handle.snapshot, before, "the state after the step that failed")
        yield* handle.run(batch(1))
        const after = yield* handle.snapshot
        Claim.same(after.steps, before.steps + 1, "the number of steps")
        Claim.holds(!isDeepStrictEqual(after.state, before.state), () => "the next step has done nothing")
      })
    ),

    law(
      "names the step whose gradient norm was not finite, and continues",
      Effect.fnUntraced(function*({ engine }) {
        const handle = yield* engine.train(Steps.rooted, { w: Steps.values([1], () => 0) })
        const at = (x: number) => ({ x: Steps.values([1], () => x) })
        yield* handle.run(at(1))
        const before = yield* handle.snapshot
        says(
          yield* refused(handle.run(at(-0.5)), "an infinite gradient"),
          /rooted: the norm of the gradients of step 2 is Infinity/,
          70
        )
        Claim.same(yield* handle.snapshot, before, "the state after the step that failed")
        yield* handle.run(at(4))
      }),
      once
    ),

    law(
      "refuses a step that changes the shape of its state",
      Effect.fnUntraced(function*({ engine }) {
        const spec = { shape: [2, 3] as [2, 3], dtype: "float32" } as const
        const step: TrainStep<{ readonly w: Tensor<[2, 3]> }, object, object> = {
          name: "turn",
          state: { w: spec },
          batch: {},
          run: ({ w }) => ({ metrics: {}, state: { w: unsafeTyped(tf.transpose(untyped(w))) } })
        }
        const opened = engine.train(step, { w: Steps.values([2, 3], () => 0) })
        const error = yield* refused(Effect.flatMap(opened, (handle) => handle.run({})), "a state of another shape")
        says(error, /turn: .*state\.w is float32 \[2, 3\] but the step makes it float32 \[3, 2\]/, 70)
      }),
      once
    ),

    law(
      "restores the previous backend of TensorFlow.js",
      Effect.fnUntraced(function*({ engine }) {
        // Chooses a backend if none has been chosen yet.
        tf.backend()
        const before = tf.getBackend()
        const handle = yield* engine.infer(Steps.affine, Steps.weights())
        yield* handle.run(Steps.x())
        Claim.same(tf.getBackend(), before, "the backend")
        Claim.same([...tf.mul(tf.tensor([1, 2]), 2).dataSync()], [2, 4], "the result of TensorFlow.js")
      }),
      once
    ),

    law(
      "completes a step whose caller is interrupted",
      Effect.fnUntraced(function*({ batch, broken, engine, initial }) {
        const handle = yield* engine.train(Steps.regression, initial())
        const fiber = yield* Effect.forkChild(handle.run(batch(0)), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        const interrupted = yield* handle.snapshot
        const other = yield* engine.train(Steps.regression, initial())
        yield* other.run(batch(0))
        Claim.same(interrupted, yield* other.snapshot, "the state after an interrupted step")
        says(yield* refused(handle.run(broken()), "a loss that is not a number"), /step 2/, 70)
      })
    ),

    law(
      "continues the step count of its initial state",
      Effect.fnUntraced(function*({ batch, engine, initial }) {
        const begun = yield* engine.train(Steps.regression, initial())
        yield* begun.run(batch(0))
        const { state, steps } = yield* begun.snapshot
        const handle = yield* engine.train(Steps.regression, state, steps)
        for (const one of [begun, handle]) yield* one.run(batch(1))
        const after = yield* handle.snapshot
        Claim.same(after, yield* begun.snapshot, "the state of the continued handle")
        Claim.same(after.steps, 2, "the number of steps")
      })
    ),

    law(
      "gives snapshots whose state and step count match, even between concurrent steps",
      Effect.fnUntraced(function*({ batch, engine, initial }) {
        const handle = yield* engine.train(Steps.regression, initial())
        const asked = yield* Effect.forEach(
          [0, 1, 2, 3],
          (step) => Effect.all([handle.run(batch(step)), handle.snapshot], { concurrency: "unbounded" }),
          { concurrency: "unbounded" }
        )
        const other = yield* engine.train(Steps.regression, initial())
        const states = [(yield* other.snapshot).state]
        for (const step of [0, 1, 2, 3]) {
          yield* other.run(batch(step))
          states.push((yield* other.snapshot).state)
        }
        for (const [, { state, steps }] of asked) Claim.same(state, states[steps], `the state of ${steps} steps`)
      })
    ),

    law(
      "skips a step whose caller is interrupted before its turn",
      Effect.fnUntraced(function*({ batch, engine, initial }) {
        const handle = yield* engine.train(Steps.regression, initial())
        const begin = (step: number) => Effect.forkChild(handle.run(batch(step)), { startImmediately: true })
        const begun = yield* Effect.forEach(Array.from({ length: 1 + handle.ahead }, (_, step) => step), begin)
        const last = yield* begin(begun.length)
        const taken = last.pollUnsafe() === undefined ? begun.length : begun.length + 1
        yield* Fiber.interrupt(last)
        yield* Effect.forEach(begun, Fiber.join)
        const other = yield* engine.train(Steps.regression, initial())
        for (let step = 0; step < taken; step++) yield* other.run(batch(step))
        const expected = { ...(yield* other.snapshot), steps: taken }
        Claim.same(yield* handle.snapshot, expected, "the state after the interruption")
      })
    ),

    law(
      "takes a step with a number only in its turn",
      Effect.fnUntraced(function*({ batch, broken, engine, initial }) {
        const begun = yield* engine.train(Steps.regression, initial())
        yield* begun.run(batch(0), 1)
        const { state, steps } = yield* begun.snapshot
        const handle = yield* engine.train(Steps.regression, state, steps)
        Claim.same(yield* tagOf(handle.run(batch(0), 1)), "NotTaken", "the reason of a step that was taken before")
        const failed = yield* Effect.forkChild(Effect.exit(handle.run(broken(), 2)), { startImmediately: true })
        Claim.same(yield* tagOf(handle.run(batch(2), 3)), "NotTaken", "the reason of the step after one that failed")
        yield* Fiber.join(failed)
        Claim.same(yield* handle.snapshot, { state, steps }, "the state after both")
        yield* Effect.forEach([2, 3], (number) => handle.run(batch(number), number), { concurrency: "unbounded" })
        for (const number of [2, 3]) yield* begun.run(batch(number))
        Claim.same(yield* handle.snapshot, yield* begun.snapshot, "the state after two steps in their turn")
      })
    ),

    law(
      "separates handles that run at the same time, and keeps no memory of a run",
      Effect.fnUntraced(function*({ batch, engine, initial }) {
        const alone = yield* engine.train(Steps.regression, initial())
        const handles = yield* Effect.forEach([0, 1, 2], () => engine.train(Steps.regression, initial()))
        const held = yield* engine.memory
        const steps = [0, 1, 2, 3]
        yield* Effect.forEach(
          handles,
          (handle) => Effect.forEach(steps, (step) => handle.run(batch(step)), { concurrency: "unbounded" }),
          { concurrency: "unbounded" }
        )
        yield* Effect.forEach(steps, (step) => alone.run(batch(step)))
        const expected = (yield* alone.snapshot).state
        for (const handle of handles) {
          Claim.same((yield* handle.snapshot).state, expected, "the state of one of three that ran at once")
        }
        Claim.same(yield* engine.memory, held, "the memory held after the steps")
      })
    ),

    law(
      "fails with OutOfMemory and continues, with the same state or with StateCorrupted",
      Effect.fnUntraced(function*({ engine }) {
        const w = Steps.values([1], () => 1)
        const opened = yield* Effect.result(engine.train(Steps.greedy, { w }))
        const held = yield* engine.memory
        const error = yield* refused(
          Effect.flatMap(Effect.fromResult(opened), (handle) => handle.run({ x: w })),
          "a step that needs more memory than there is"
        )
        Claim.holds(error.reason._tag === "OutOfMemory", () => `the error is ${error.reason._tag}: ${error.message}`)
        Claim.same(error[Runtime.errorExitCode], 70, "the exit code")
        const after = yield* engine.memory
        const state = yield* Effect.result(Effect.flatMap(Effect.fromResult(opened), (handle) => handle.snapshot))
        if (Result.isSuccess(state) || Result.isFailure(opened)) {
          Claim.same(after, held, "the memory held after the failure")
        } else {
          Claim.same(state.failure.reason._tag, "StateCorrupted", "the reason")
          // A lost state may have been freed.
          Claim.holds(
            after.bytes <= held.bytes,
            () => `after the failure, ${after.bytes} bytes are held, not ${held.bytes}`
          )
        }
        if (Result.isSuccess(state)) Claim.same(state.success, { steps: 0, state: { w } }, "the state")
        const other = yield* engine.infer(Steps.affine, Steps.weights())
        yield* other.run(Steps.x())
      }),
      once
    ),

    law(
      "frees the tensors of a failed step",
      Effect.fnUntraced(function*({ engine }) {
        const step: TrainStep<{ readonly w: Tensor<[2]> }, object, { readonly loss: Tensor<[]> }> = {
          name: "failing",
          state: { w: { shape: [2], dtype: "float32" } },
          batch: {},
          run: ({ w }) => {
            const { loss } = Gradient.valueAndGradient((p: { readonly w: Tensor<[2]> }) => {
              const sum = Reduction.sum(Elementwise.square(p.w))
              tf.reshape(untyped(sum), [7])
              return { loss: sum, aux: {} }
            }, { w })
            return { metrics: { loss }, state: { w } }
          }
        }
        const before = { ...(yield* engine.memory), ours: tf.memory().numTensors }
        const opened = engine.train(step, { w: Steps.values([2], (i) => i) })
        const failing = Effect.flatMap(opened, (handle) => handle.run({}))
        Claim.same(yield* tagOf(Effect.scoped(failing)), "Failed", "the reason")
        Claim.same({ ...(yield* engine.memory), ours: tf.memory().numTensors }, before, "the memory held afterwards")
      }),
      once
    ),

    make(
      "holds the memory of its open handles after any action, and none when all are closed",
      EngineScript.scripts,
      (script) => runtime.runPromise(EngineScript.play(script)),
      { numRuns: 40 }
    )
  ]
}
