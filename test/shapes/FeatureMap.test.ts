import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import { BatchNorm, FeatureMap, HostTensor, Loss, ShapeError, Tensor } from "../../src/shapes/index.ts"

const filled = <const S extends ReadonlyArray<number>>(
  shape: S,
  seed = 1
): Tensor.Tensor<{ -readonly [K in keyof S]: S[K] }> =>
  Tensor.unsafeTyped(tf.tensor(
    Float32Array.from({ length: HostTensor.size(shape) }, (_, i) => Math.sin(i * 12.9898 + seed) * 2),
    [...shape]
  ))

const values = (x: Tensor.Any): ReadonlyArray<number> => Array.from(Tensor.untyped(x).dataSync())

const close = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  assert.strictEqual(actual.length, expected.length)
  actual.forEach((x, i) => assert.closeTo(x, expected[i]!, 1e-5))
}

const side = fc.integer({ min: 1, max: 6 })

describe("FeatureMap", () => {
  it("convolves as TensorFlow.js does", () => {
    fc.assert(
      fc.property(side, side, side, fc.constantFrom(1, 3, 5), (height, width, channels, kernel) => {
        const [x, weight] = [filled([2, height, width, channels]), filled([3, channels, kernel, kernel], 2)]
        const expected = tf.conv2d(
          Tensor.untyped(x) as tf.Tensor4D,
          tf.transpose(Tensor.untyped(weight) as tf.Tensor4D, [2, 3, 1, 0]),
          1,
          "same"
        )
        close(values(FeatureMap.convolve(x, weight)), Array.from(expected.dataSync()))
      }),
      { numRuns: 40 }
    )
  })

  it("resizes as TensorFlow.js does with half-pixel centres", () => {
    fc.assert(
      fc.property(side, side, side, side, (height, width, tall, wide) => {
        const x = filled([2, height, width, 3])
        const expected = tf.image.resizeBilinear(Tensor.untyped(x) as tf.Tensor4D, [tall, wide], false, true)
        const [y, w] = [tall as 1, wide as 1]
        close(values(FeatureMap.resize(x, y, w)), Array.from(expected.dataSync()))
      })
    )
  })

  it("averages over bins that may overlap", () => {
    const row = Tensor.constant(HostTensor.make([1, 1, 5, 1], "float32", Float32Array.of(1, 2, 4, 8, 16)))
    close(values(FeatureMap.adaptiveAveragePool(row, 1, 3)), [1.5, 14 / 3, 12])
    close(values(FeatureMap.adaptiveAveragePool(row, 1, 1)), [31 / 5])
    const two = Tensor.constant(HostTensor.make([1, 1, 2, 1], "float32", Float32Array.of(1, 2)))
    close(values(FeatureMap.adaptiveAveragePool(two, 1, 6)), [1, 1, 1, 2, 2, 2])
  })

  it("refuses even kernels and empty sides", () => {
    const map = Tensor.zeros([1, 4, 4, 2])
    assert.throws(
      () => FeatureMap.convolve(map, Tensor.zeros([3, 2, 2, 2])),
      ShapeError.ShapeError,
      "convolve: the kernel has 2 rows but must have an odd number of them"
    )
    assert.throws(
      () => FeatureMap.resize(map, 0, 3),
      ShapeError.ShapeError,
      "resize: a map of 4 by 4 cannot become 0 by 3"
    )
  })
})

describe("BatchNorm", () => {
  const affine = { weight: Tensor.fill([3], 1), bias: Tensor.zeros([3]) }

  it("normalises each channel, and evaluates with statistics as it trains with them", () => {
    const x = filled([2, 3, 4, 3])
    const { statistics, y } = BatchNorm.train(x, affine, 0)
    const rows = tf.reshape(Tensor.untyped(y), [24, 3])
    const { mean, variance } = tf.moments(rows, 0)
    close(Array.from(mean.dataSync()), [0, 0, 0])
    close(Array.from(variance.dataSync()), [1, 1, 1])
    const running = { running_mean: statistics.mean, running_var: statistics.variance }
    close(values(BatchNorm.evaluate(x, affine, running, 0)), values(y))
  })

  it("follows the unbiased variance", () => {
    const x = Tensor.constant(HostTensor.make([2, 1, 1, 3], "float32", Float32Array.of(1, 2, 3, 3, 2, 7)))
    const { statistics } = BatchNorm.train(x, affine, 1e-5)
    const next = BatchNorm.follow(
      { running_mean: Tensor.zeros([3]), running_var: Tensor.fill([3], 1) },
      statistics,
      0.1
    )
    close(values(next.running_mean), [0.2, 0.2, 0.5])
    close(values(next.running_var), [1.1, 0.9, 1.7])
  })

  it("refuses one value per channel", () => {
    assert.throws(
      () => BatchNorm.train(Tensor.zeros([1, 1, 1, 3]), affine, 1e-5),
      ShapeError.ShapeError,
      "train: a batch norm needs more than 1 value per channel but has 1; use more images"
    )
  })
})

describe("crossEntropyExcept", () => {
  it("is the mean over all rows, where ignored ones count 0", () => {
    const logits = filled([5, 4])
    const five = (...all: ReadonlyArray<number>) => Tensor.constant(HostTensor.make([5], "int32", Int32Array.from(all)))
    const rowLoss = (at: number, label: number) => {
      const row = Tensor.unsafeTyped<[1, 4]>(tf.slice(Tensor.untyped(logits), [at, 0], [1, 4]))
      return values(Loss.crossEntropy(row, Tensor.constant(HostTensor.make([1], "int32", Int32Array.of(label)))))[0]!
    }
    const whole = values(Loss.crossEntropyExcept(logits, five(0, 255, 3, 255, 1), 255))
    close(whole, [(rowLoss(0, 0) + rowLoss(2, 3) + rowLoss(4, 1)) / 5])
    const labels = five(0, 1, 2, 3, 1)
    close(values(Loss.crossEntropyExcept(logits, labels, 255)), values(Loss.crossEntropy(logits, labels)))
  })
})
