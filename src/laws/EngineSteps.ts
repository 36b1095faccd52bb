/** Small steps for the laws of engines. */
import * as tf from "@tensorflow/tfjs-core"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Activation from "../shapes/Activation.ts"
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

type Six = Tensor<[6]>

/** The batch of {@link edges}. */
export interface Edges {
  /** Numbers that are denormal, or whose square is. */
  readonly small: Six
  /** Zeros of both signs, and a number that is rounded to zero. */
  readonly zeros: Six
  /** Rows with several largest numbers; of the second row, all numbers are zeros of either sign. */
  readonly ties: Tensor<[2, 6]>
  /** Rows as long as those in which engines look for a place block by block. */
  readonly long: Tensor<[2, 1024]>
  readonly vectors: Tensor<[2, 3]>
  readonly table: Tensor<[4, 3]>
}

/** An inference at numbers for which engines could differ: denormal numbers, zeros, equal numbers. */
export const edges: Inference<object, Edges, {
  readonly copied: Six
  readonly halved: Six
  readonly squared: Six
  readonly copiedZeros: Six
  readonly negatedZeros: Six
  readonly roundedZeros: Six
  readonly places: Tensor<[2], "int32">
  readonly farPlaces: Tensor<[2], "int32">
  readonly codes: Tensor<[2], "int32">
  readonly ofLargest: Tensor<[2, 6]>
  readonly ofRelu: Tensor<[2, 6]>
}> = {
  name: "edges",
  weights: {},
  batch: {
    small: f32(6),
    zeros: f32(6),
    ties: f32(2, 6),
    long: f32(2, 1024),
    vectors: f32(2, 3),
    table: f32(4, 3)
  },
  run: (_, { long, small, table, ties, vectors, zeros }) => {
    const gradient = (loss: (x: Tensor<[2, 6]>) => Tensor<[]>) =>
      Gradient.valueAndGradient(
        (p: { readonly x: Tensor<[2, 6]> }) => ({ loss: loss(p.x), aux: {} }),
        { x: ties }
      ).gradients.x
    return {
      copied: Elementwise.stopGradient(small),
      halved: Elementwise.scale(small, 0.5),
      squared: Elementwise.square(small),
      copiedZeros: Elementwise.stopGradient(zeros),
      negatedZeros: Elementwise.scale(zeros, -1),
      roundedZeros: Elementwise.round(zeros),
      places: Codes.argMax(ties),
      farPlaces: Codes.argMax(long),
      codes: Codes.nearest(vectors, table),
      ofLargest: gradient((x) => Reduction.sum(Reduction.maxLast(x))),
      ofRelu: gradient((x) => Reduction.sum(Activation.relu(x)))
    }
  }
}

/** Makes the batch of {@link edges}. */
export const edge = (): HostOf<Edges> => ({
  small: values([6], (i) => [1e-40, -1e-40, 2 ** -149, 1e-20, -1e-20, 1][i]!),
  zeros: values([6], (i) => [0, -0, 0.25, -0.25, -0, 0][i]!),
  ties: values([2, 6], (i) => [1, 3, 3, 2, 3, -1, -0, 0, -0, 0, 0, -0][i]!),
  long: values([2, 1024], (i) => [300, 301, 700].includes(i) ? 5 : i < 1024 ? 0 : -Infinity),
  vectors: values([2, 3], (i) => [1, 0, 0, 0, 1, 0][i]!),
  table: values([4, 3], (i) => [0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0][i]!)
})
