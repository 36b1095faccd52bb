import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import "../../src/shapes/Tensor.ts"

const rows = (x: tf.Tensor) => tf.tensor1d(Array.from({ length: x.shape[0]! }, (_, i) => i % 3 - 1), "int32")

const kernels: Readonly<Record<string, (x: tf.Tensor) => tf.Tensor>> = {
  Abs: tf.abs,
  AddN: (x) => tf.addN([x, tf.exp(x), x]),
  ClipByValue: (x) => tf.clipByValue(x, 0.71, 1.41),
  Concat: (x) => tf.concat([x, tf.mul(x, 2)], -1),
  Cos: tf.cos,
  Cumsum: (x) => tf.cumsum(x, 1, true, true),
  Elu: (x) => tf.elu(tf.sub(x, 1.03)),
  Erf: tf.erf,
  Exp: tf.exp,
  ExpandDims: (x) => tf.expandDims(x, 1),
  GatherV2: (x) => tf.gather(x, tf.abs(rows(x)), 1),
  Log: tf.log,
  Max: (x) => tf.max(x, 1),
  Maximum: (x) => tf.maximum(x, tf.sub(2.3, x)),
  Mean: (x) => tf.mean(x, 0, true),
  Min: (x) => tf.min(x, [0, 1]),
  Minimum: (x) => tf.minimum(x, tf.sub(2.3, x)),
  Multiply: (x) => tf.mul(x, tf.sum(x, 0)),
  Pack: (x) => tf.stack([x, tf.exp(x)], 1),
  PadV2: (x) => tf.pad(x, [[1, 2], [0, 1]], 3),
  Pow: (x) => tf.pow(x, tf.sum(x, 0)),
  RealDiv: (x) => tf.div(x, tf.sum(x, 1, true)),
  Reciprocal: tf.reciprocal,
  Relu: (x) => tf.relu(tf.sub(x, 1.03)),
  Reverse: (x) => tf.reverse(x, 1),
  Rsqrt: tf.rsqrt,
  Select: (x) => tf.where(tf.tensor([true, false, true, true, false, false], [2, 3], "bool"), tf.exp(x), x),
  Sigmoid: tf.sigmoid,
  Sin: tf.sin,
  Slice: (x) => tf.slice(x, [1, 0], [1, 2]),
  Softmax: (x) => tf.softmax(x),
  Softplus: tf.softplus,
  SplitV: (x) => {
    const [a, b] = tf.split(x, [1, 2], 1) as [tf.Tensor, tf.Tensor]
    return tf.mul(a, b)
  },
  Sqrt: tf.sqrt,
  SquaredDifference: (x) => tf.squaredDifference(x, tf.exp(x)),
  Sub: (x) => tf.sub(x, tf.exp(x)),
  Tanh: tf.tanh,
  Tile: (x) => tf.tile(x, [2, 3]),
  Transpose: (x) => tf.transpose(x),
  Unpack: (x) => tf.mul(...(tf.unstack(x, 0) as [tf.Tensor, tf.Tensor])),
  UnsortedSegmentSum: (x) => tf.unsortedSegmentSum(tf.concat([x, x, x], 0), rows(tf.concat([x, x, x], 0)), 2)
}

tf.env().set("PROD", true)

const weighted = (y: tf.Tensor): tf.Tensor => {
  const weights = Array.from({ length: y.size }, (_, i) => Math.sin(1 + 3 * i))
  return tf.sum(tf.mul(y, tf.tensor(weights, y.shape)))
}

const at = [0.51, 0.83, 1.17, 1.31, 1.57, 1.93]

describe("gradients of kernels", () => {
  it.each(Object.entries(kernels))("%s is the slope", (_, run) => {
    const loss = (values: ReadonlyArray<number>) => weighted(run(tf.tensor([...values], [2, 3]))).dataSync()[0]!
    const found = tf.grad((x) => weighted(run(x)))(tf.tensor(at, [2, 3])).dataSync()
    at.forEach((_, i) => {
      const moved = (by: number) => loss(at.map((value, j) => (i === j ? value + by : value)))
      assert.approximately(found[i]!, (moved(0.01) - moved(-0.01)) / 0.02, 0.01 * Math.max(1, Math.abs(found[i]!)))
    })
  })
})
