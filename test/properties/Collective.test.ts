import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import * as XlaSession from "../../src/layers/pjrt/XlaSession.ts"
import * as Collective from "../../src/shapes/Collective.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import { valueAndGradient } from "../../src/shapes/Gradient.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { TrainStep } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { onNewest } from "../layers/pjrt/cpuPlugin.ts"
import * as Eager from "../parity/eager.ts"

type Rows = Tensor<[4, 3]>

interface State {
  readonly w: Tensor<[3]>
}

interface Batch {
  readonly x: Rows
  readonly y: Rows
  readonly factor: Tensor<[]>
  readonly places: Tensor<[2], "int32">
}

const rows = { shape: [4, 3] as [4, 3], dtype: "float32", split: "rows" } as const

const laws = ({ w }: State, { factor, places, x, y }: Batch) => {
  const [first, second] = [Reduction.sumAlong(x, 0), Reduction.sumAlong(y, 0)]
  const { gradients, loss } = valueAndGradient((params: State) => {
    const sums = Collective.psum(Elementwise.mul(params.w, first))
    return { loss: Elementwise.add(Reduction.sum(Elementwise.square(sums)), Reduction.mean(x)), aux: {} }
  }, { w })
  const [one, other] = [Collective.psum(first), Collective.psum(second)]
  return {
    sum: one,
    ofBoth: Collective.psum(Elementwise.add(Elementwise.scaleBy(first, factor), second)),
    both: Elementwise.add(Elementwise.scaleBy(one, factor), other),
    mean: Collective.pmean(Reduction.mean(x)),
    again: Collective.pmean(one),
    found: Collective.lookup(x, places),
    loss,
    gradient: gradients.w
  }
}

const step: TrainStep<State, Batch, ReturnType<typeof laws>> = {
  name: "laws",
  state: { w: { shape: [3], dtype: "float32" } },
  batch: { x: rows, y: rows, factor: { shape: [], dtype: "float32" }, places: { shape: [2], dtype: "int32" } },
  run: (state, batch) => ({ metrics: laws(state, batch), state })
}

const numbers = (length: number) =>
  fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: length, maxLength: length }).map((values) =>
    Float32Array.from(values)
  )

const draws = fc.record({
  w: numbers(3),
  x: numbers(12),
  y: numbers(12),
  factor: numbers(1),
  places: fc.tuple(fc.nat(3), fc.nat(3))
})

onNewest("sums and means over devices", ({ opened }) => {
  it.effect.each([2, 4])(
    "are those over all rows, are linear, and have their gradients, on %i devices",
    (devices) =>
      Effect.gen(function*() {
        const client = yield* opened({ cpu_device_count: BigInt(devices) })
        const program = XlaProgram.trainStep(step, { devices })
        const session = yield* XlaSession.open(client, program, { "state.w": HostTensor.zeros([3], "float32") })
        const holds = fc.asyncProperty(draws, async ({ factor, places, w, x, y }) => {
          const batch = {
            x: HostTensor.make([4, 3], "float32", x),
            y: HostTensor.make([4, 3], "float32", y),
            factor: HostTensor.make([], "float32", factor),
            places: HostTensor.make([2], "int32", Int32Array.from(places))
          }
          const state = { w: HostTensor.make([3], "float32", w) }
          await Effect.runPromise(session.load({ "state.w": state.w }))
          const named = Object.fromEntries(Object.entries(batch).map(([name, array]) => [`batch.${name}`, array]))
          const found = await Effect.runPromise(session.step(named))
          const alone = Eager.eagerly(
            { state, batch },
            (given: { readonly state: State; readonly batch: Batch }) => laws(given.state, given.batch)
          )
          for (const [name, { data }] of Object.entries(alone)) {
            data.forEach((expected, at) =>
              assert.closeTo(
                found[`metrics.${name}`]!.data[at]!,
                expected,
                1e-5 * Math.max(1, Math.abs(expected)),
                name
              )
            )
          }
          const [both, ofBoth] = [found["metrics.both"]!.data, found["metrics.ofBoth"]!.data]
          both.forEach((value, at) => assert.closeTo(value, ofBoth[at]!, 2e-4))
        })
        yield* Effect.promise(() => fc.assert(holds, { numRuns: 20 }))
      })
  )
})
