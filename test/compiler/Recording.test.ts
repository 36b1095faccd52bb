import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as fc from "fast-check"
import * as InParts from "../../src/compiler/graph/InParts.ts"
import { NotTraceable } from "../../src/compiler/kernels/Tracer.ts"
import { PAUSED, Recording } from "../../src/compiler/trace/Recording.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Step from "../../src/shapes/Step.ts"
import { type Tensor, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"

type Work = number | { readonly part: ReadonlyArray<Work> } | { readonly map: ReadonlyArray<Work> }

const { work } = fc.letrec<{ readonly work: Work; readonly works: ReadonlyArray<Work> }>((tie) => ({
  works: fc.array(tie("work"), { maxLength: 6 }),
  work: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.integer({ min: 0, max: 40 }),
    fc.record({ part: tie("works") }),
    fc.record({ map: tie("works") })
  )
}))

const MOST = 48

const played = (one: Work) => {
  const recording = new Recording()
  let calls = 0
  const pauses = [0]
  const kernel = () => recording.kernel("kernel", () => ++calls)
  const run = (part: Work): ReadonlyArray<number> => {
    if (typeof part === "number") return Array.from({ length: part }, kernel)
    if ("part" in part) return recording.part(() => part.part.flatMap(run))
    return recording.map(part.map, run).flatMap((found) => found)
  }
  for (;;) {
    recording.restart()
    try {
      const result = run(one)
      return { result, calls, pauses }
    } catch (thrown) {
      assert.strictEqual(thrown, PAUSED)
      assert.isTrue(recording.isPaused)
      pauses.push(calls)
    }
  }
}

type Row = Tensor<[2]>

const inference = (
  run: (x: tf.Tensor) => tf.Tensor
): Step.Inference<object, { readonly x: Row }, { readonly y: Row }> => ({
  name: "one",
  weights: {},
  batch: { x: { shape: [2], dtype: "float32" } },
  run: (_, { x }) => ({ y: unsafeTyped<[2]>(run(untyped(x))) })
})

const operations = (run: (x: tf.Tensor) => tf.Tensor) =>
  Trace.inference(inference(run)).graph.nodes.map(({ operation }) => operation)

const chain = (x: tf.Tensor, length: number, next: (x: tf.Tensor) => tf.Tensor): tf.Tensor =>
  Array.from({ length }).reduce<tf.Tensor>(next, x)

describe("a record of a computation", () => {
  it("has each result once, in order, and pauses after so many kernels", () => {
    fc.assert(fc.property(work, (one) => {
      const { calls, pauses, result } = played(one)
      assert.deepStrictEqual(result, Array.from({ length: calls }, (_, call) => call + 1))
      assert.deepStrictEqual(pauses, pauses.map((_, pause) => pause * MOST))
      assert.isAtMost(calls - pauses.at(-1)!, MOST)
    }))
  })
})

describe("a step that is traced in parts", () => {
  it("has every operation once, with parts and without", () => {
    const expected = Array.from({ length: 300 }, () => "exp")
    assert.deepStrictEqual(operations((x) => chain(x, 300, tf.exp)), expected)
    const halves = (x: tf.Tensor) => Step.part(() => chain(Step.part(() => chain(x, 150, tf.exp)), 150, tf.exp))
    assert.deepStrictEqual(operations(halves), expected)
    const mapped = (x: tf.Tensor) => {
      const given = Step.part(() => [x])
      Step.each([...Array(300).keys()], () => given.push(tf.exp(given.at(-1)!)))
      return given.at(-1)!
    }
    assert.deepStrictEqual(operations(mapped), expected)
  })

  it("has the operations of a gradient that is longer than a part once", () => {
    const gradient = (length: number) => operations(tf.grad((x) => tf.sum(chain(x, length, tf.exp))))
    const [short, long] = [gradient(10), gradient(150)]
    assert.strictEqual(long.length - short.length, 2 * 140)
  })

  it("is the same though it catches what it does not know", () => {
    const expected = Array.from({ length: 200 }, () => "exp")
    const catching = (x: tf.Tensor) => {
      try {
        return chain(x, 200, tf.exp)
      } catch {
        return tf.add(x, 1)
      }
    }
    assert.deepStrictEqual(operations(catching), expected)
    assert.deepStrictEqual(operations((x) => Step.part(() => catching(x))), expected)
    const giving = (x: tf.Tensor) => Step.part(() => chain(x, 200, tf.exp))
    const catchingParts = (x: tf.Tensor) =>
      Step.part(() => {
        try {
          return giving(x)
        } catch {
          return x
        }
      })
    assert.deepStrictEqual(operations(catchingParts), expected)
  })

  it("leaves the backend and its tensors to others between its parts", () => {
    tf.ones([1]).dispose()
    const seen = () => [tf.getBackend(), tf.memory().numTensors, [...tf.add(tf.scalar(1), 1).dataSync()]]
    const before = tf.tidy(seen)
    const parts = Trace.tracingInference(inference((x) => chain(x, 200, tf.exp)))
    let count = 0
    while (parts.next().done !== true) {
      count++
      assert.deepStrictEqual(tf.tidy(seen), before)
    }
    assert.isAtLeast(count, 4)
  })

  it("is refused where it does something else when it is called again", () => {
    let calls = 0
    const impure = (x: tf.Tensor) => chain(calls++ === 0 ? tf.exp(x) : tf.sin(x), 100, tf.exp)
    assert.throws(() => operations(impure), NotTraceable, /did Sin in place of Exp; it must do the same in every call/)
  })

  it("is finished by those that need all of it", () => {
    const parts = Trace.tracingInference(inference((x) => chain(x, 100, tf.exp)))
    assert.lengthOf(InParts.whole(parts).graph.nodes, 100)
  })
})
