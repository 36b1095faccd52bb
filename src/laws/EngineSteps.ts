/** Small steps for the laws of engines. */
import * as tf from "@tensorflow/tfjs-core"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Codes from "../shapes/Codes.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Linear from "../shapes/Linear.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { HostOf, Inference, TrainStep } from "../shapes/Step.ts"
import { fill, type Tensor, unsafeTyped, untyped } from "../shapes/Tensor.ts"

export interface Line {
  readonly weight: Tensor<[2, 3]>
  readonly bias: Tensor<[2]>
}

export type State = AdamW.State<Line>

export interface Batch {
  readonly x: Tensor<[4, 3]>
  readonly y: Tensor<[4, 2]>
  readonly hyper: AdamW.Hyper
}

export interface Metrics {
  readonly loss: Tensor<[]>
  readonly norms: ReadonlyArray<Tensor<[]>>
}

const f32 = <const S extends ReadonlyArray<number>>(...shape: S) =>
  ({ shape, dtype: "float32" }) as { readonly shape: { -readonly [K in keyof S]: S[K] }; readonly dtype: "float32" }

const line = { weight: f32(2, 3), bias: f32(2) }

/** Makes a linear regression with AdamW and one update for `accumulate` steps. `ema` is the decay of the weights' average. */
export const regressionOf = (accumulate: number, ema: number | null = null): TrainStep<State, Batch, Metrics> => ({
  name: "regression",
  state: AdamW.stateSpec(line, { accumulate, ema }),
  batch: {
    x: { ...f32(4, 3), split: "rows" },
    y: { ...f32(4, 2), split: "rows" },
    hyper: AdamW.hyperSpec({ accumulate })
  },
  run: (state, { hyper, x, y }) => {
    const { gradients, loss } = Gradient.valueAndGradient(
      (p: Line) => ({
        loss: Reduction.mean(Elementwise.square(Elementwise.sub(Linear.linear(x, p), y))),
        aux: {}
      }),
      state.parameters
    )
    const options = { betas: [0.9, 0.99], weightDecay: 0.1, clipNorm: 1, decays: () => true, accumulate, ema } as const
    const updated = AdamW.update(state, gradients, hyper, options, loss)
    return { metrics: { loss, norms: [updated.norm, Reduction.globalNorm(state.parameters)] }, state: updated.state }
  }
})

export const regression = regressionOf(1)

/** Makes an inference that returns a list, for a given number of rows. */
export const affineOf = <R extends number>(
  rows: R
): Inference<Line, { readonly x: Tensor<[R, 3]> }, ReadonlyArray<Tensor<[R, 2]>>> => ({
  name: "affine",
  weights: line,
  batch: { x: f32(rows, 3) },
  run: (p, { x }) => {
    const y = Linear.linear(x, p)
    return [y, Elementwise.scale(y, 2)]
  }
})

export const affine = affineOf(4)

export interface Mixed {
  readonly x: Tensor<[4, 3]>
  readonly codes: Tensor<[4], "int32">
  readonly counts: Tensor<[2], "int32">
  readonly mask: Tensor<[4], "bool">
}

/** An inference whose inputs and outputs have all element types. */
export const mixed: Inference<{ readonly table: Tensor<[5, 3]> }, Mixed, object> = {
  name: "mixed",
  weights: { table: f32(5, 3) },
  batch: {
    x: f32(4, 3),
    codes: { shape: [4], dtype: "int32" },
    counts: { shape: [2], dtype: "int32" },
    mask: { shape: [4], dtype: "bool" }
  },
  run: ({ table }, { codes, counts, mask, x }) => ({
    rows: Elementwise.add(Codes.lookup(table, codes), x),
    products: Elementwise.mul(x, x),
    codes,
    counts,
    same: Codes.equal(codes, codes),
    finite: Elementwise.isFinite(x),
    hidden: Elementwise.not(mask),
    nearest: Codes.nearest(Codes.lookup(table, codes), table)
  })
}

/** Makes the batch of {@link mixed}. Some numbers are not finite. One count needs more digits than float32 has. */
export const mixture = (seed: number): HostOf<Mixed> => ({
  x: values([4, 3], (i) => [NaN, Infinity, -Infinity][i - 4] ?? Math.sin(i + seed)),
  codes: HostTensor.make([4], "int32", Int32Array.from([0, 1, 2, 3], (i) => (i * 3 + seed) % 5)),
  counts: HostTensor.make([2], "int32", Int32Array.of(2 ** 24 + 1 + 2 * seed, -7 - seed)),
  mask: HostTensor.make([4], "bool", Uint8Array.from([0, 1, 2, 3], (i) => (i + seed) % 2))
})

type Row = Tensor<[3]>

/** A step that returns the same values under several names: computed values, constants and inputs. */
export const repeated: TrainStep<
  { readonly first: Row; readonly second: Row },
  { readonly x: Row },
  { readonly loss: ReadonlyArray<Row>; readonly ones: ReadonlyArray<Row>; readonly given: ReadonlyArray<Row> }
> = {
  name: "repeated",
  state: { first: f32(3), second: f32(3) },
  batch: { x: f32(3) },
  run: ({ first, second }, { x }) => {
    const sum = Elementwise.add(Elementwise.add(first, second), x)
    const [one, other] = [fill([3], 1), fill([3], 1)]
    return { metrics: { loss: [sum, sum], ones: [one, one, other], given: [x, x] }, state: { first: sum, second: sum } }
  }
}

/** An inference that sums the squares of 3 million numbers. */
export const length: Inference<
  object,
  { readonly x: Tensor<[3000, 1024]> },
  { readonly norm: Tensor<[]> }
> = {
  name: "length",
  weights: {},
  batch: { x: f32(3000, 1024) },
  run: (_, batch) => ({ norm: Reduction.globalNorm(batch) })
}

const one = f32(1)

/** A step that needs more memory than any machine has. */
export const greedy: TrainStep<{ readonly w: Tensor<[1]> }, { readonly x: Tensor<[1]> }, object> = {
  name: "greedy",
  state: { w: one },
  batch: { x: one },
  run: ({ w }, { x }) => {
    const side = 2 ** 23
    const [rows, columns] = [
      tf.tile(tf.reshape(untyped(w), [1, 1]), [side, 1]),
      tf.tile(tf.reshape(untyped(x), [1, 1]), [1, side])
    ]
    // A result must be in memory as a whole.
    const all = tf.exp(tf.add(rows, columns))
    return { metrics: { all: unsafeTyped(all) }, state: { w: unsafeTyped(tf.add(untyped(w), tf.max(all))) } }
  }
}

/** A step with a square root. Its gradient is infinite at 0, and its loss is NaN below 0. */
export const rooted: TrainStep<
  { readonly w: Tensor<[1]> },
  { readonly x: Tensor<[1]> },
  { readonly loss: Tensor<[]>; readonly gradientNorm: Tensor<[]> }
> = {
  name: "rooted",
  state: { w: one },
  batch: { x: one },
  run: (state, { x }) => {
    const { gradients, loss } = Gradient.valueAndGradient((p: { readonly w: Tensor<[1]> }) => ({
      loss: Reduction.sum(Elementwise.sqrt(Elementwise.add(p.w, x))),
      aux: {}
    }), state)
    const gradientNorm = Reduction.globalNorm(gradients)
    return {
      metrics: { loss, gradientNorm },
      state: {
        w: Elementwise.select(Elementwise.isFinite(gradientNorm), Elementwise.add(state.w, gradients.w), state.w)
      }
    }
  }
}

export const values = <const S extends ReadonlyArray<number>>(shape: S, at: (index: number) => number) =>
  HostTensor.make(shape, "float32", Float32Array.from({ length: HostTensor.size(shape) }, (_, i) => at(i)))

const fixedLine = (at: (index: number) => number): HostOf<Line> => ({
  weight: values([2, 3], at),
  bias: values([2], (i) => at(i + 6))
})

/** Creates the state before the first step. Different seeds give different states. */
export const initial = (accumulate = 1, seed = 0, averaged = false): HostOf<State> => ({
  parameters: fixedLine((i) => Math.sin(i + 1 + seed)),
  first: fixedLine(() => 0),
  second: fixedLine(() => 0),
  ...(accumulate === 1 ? {} : { mean: fixedLine(() => 0) }),
  ...(averaged ? { ema: fixedLine((i) => Math.sin(i + 1 + seed)) } : {})
})

/** Creates the batch of a step. Different seeds give different batches. */
export const batchOf = (accumulate: number, seed = 0) => (step: number): HostOf<Batch> => ({
  x: values([4, 3], (i) => Math.cos(i * 3 + step + seed)),
  y: values([4, 2], (i) => Math.sin(i * 5 + step + seed)),
  hyper: AdamW.hyper(step, 0.05, { betas: [0.9, 0.99], eps: 1e-8, accumulate })
})

export const batch = batchOf(1)

export const weights = (seed = 0): HostOf<Line> => initial(1, seed).parameters

export const x = (): HostOf<{ readonly x: Tensor<[4, 3]> }> => ({ x: batch(0).x })
