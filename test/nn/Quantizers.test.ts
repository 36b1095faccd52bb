import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import fc from "fast-check"
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node"
import * as OnnxExport from "../../src/compiler/export/OnnxExport.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as FiniteScalar from "../../src/nn/tokenizer/FiniteScalar.ts"
import * as LearnedCodes from "../../src/nn/tokenizer/LearnedCodes.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import * as Rows from "../../src/nn/tokenizer/Rows.ts"
import {
  Arrange,
  Dim,
  Elementwise,
  Gradient,
  HostTensor,
  Linear,
  Reduction,
  ShapeError,
  type Step,
  Tensor
} from "../../src/shapes/index.ts"
import { on, onnx, openvino, reference, tensorflow } from "../layers/engine/engines.ts"

const LEVELS = [5, 4, 3] as const
const ROWS = 12
const CODES = 7

type Vectors = Tensor.Tensor<[typeof ROWS, 3]>

const drawn = <const S extends ReadonlyArray<number>>(seed: number, purpose: string, ...shape: S) => {
  const random = KeyedRandom.generator({ seed, purpose, epoch: 0, index: 0 })
  return HostTensor.make(shape, "float32", Float32Array.from({ length: HostTensor.size(shape) }, () => random.normal()))
}

const read = (x: Tensor.Any): Array<number> => Array.from(Tensor.untyped(x).dataSync())

const rows = (values: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: values.length / 3 }, (_, row) => values.slice(3 * row, 3 * row + 3))

const bounded = (x: number, level: number): number => {
  const half = (level - 1) * 1.001 / 2
  const offset = level % 2 === 0 ? 0.5 : 0
  return (Math.tanh(x + Math.atanh(offset / half)) * half - offset) / Math.floor(level / 2)
}

const unbent = (value: number, level: number): number => {
  const half = (level - 1) * 1.001 / 2
  const offset = level % 2 === 0 ? 0.5 : 0
  return Math.atanh((value * Math.floor(level / 2) + offset) / half) - Math.atanh(offset / half)
}

const scalars = FiniteScalar.make({ codes: 60, codeWidth: 3, levels: LEVELS })

const learned = { codes: CODES, codeWidth: 3, commitment: 0.25, kmeans: false } as const
const gradient = LearnedCodes.make(learned)
const plain = LearnedCodes.make({ ...learned, l2Normalize: false })

describe("finite scalar quantization", () => {
  const quantize = <M extends number>(x: Tensor.Tensor<[M, 3]>) => scalars.quantize({}, x)

  it("rounds to levels, whose number is the code", () =>
    fc.assert(fc.property(fc.nat(), fc.constantFrom(0.1, 1, 10), (seed, spread) =>
      tf.tidy(() => {
        const host = drawn(seed, "vectors", ROWS, 3)
        const { codes, z_q } = quantize(Elementwise.scale(Tensor.constant(host), spread))
        const found = rows(read(z_q))
        for (const [at, vector] of rows(Array.from(host.data, (x) => x * spread)).entries()) {
          const digits = LEVELS.map((level, channel) => {
            const middle = Math.floor(level / 2)
            const digit = found[at]![channel]! * middle + middle
            assert.closeTo(digit, Math.round(digit), 1e-5)
            assert.isAtMost(Math.abs(digit - middle - bounded(vector[channel]!, level) * middle), 0.5 + 1e-4)
            assert.isTrue(digit > -0.01 && digit < level - 0.99)
            return Math.round(digit)
          })
          assert.strictEqual(read(codes)[at], digits[0]! + 5 * digits[1]! + 20 * digits[2]!)
        }
      }))))

  it("reaches every code", () =>
    tf.tidy(() => {
      const line = [-9, -0.9, -0.5, 0, 0.5, 0.9, 9]
      const all = line.flatMap((a) => line.flatMap((b) => line.flatMap((c) => [a, b, c])))
      const host = HostTensor.make([343, 3], "float32", Float32Array.from(all))
      assert.deepStrictEqual(
        Array.from(new Set(read(quantize(Tensor.constant(host)).codes))).toSorted((a, b) => a - b),
        Array.from({ length: 60 }, (_, code) => code)
      )
    }))

  it("says what the decoder sees of a code, and gives that its code again", () =>
    fc.assert(fc.property(fc.nat(), (seed) =>
      tf.tidy(() => {
        const { codes, z_q } = quantize(Tensor.constant(drawn(seed, "vectors", ROWS, 3)))
        const seen = Array.from(read(codes)).flatMap((code) => FiniteScalar.vectorOf(LEVELS, code))
        read(z_q).forEach((value, at) => assert.closeTo(value, seen[at]!, 1e-6))
        const back = Float32Array.from(seen, (value, at) => unbent(value, LEVELS[at % 3]!))
        const again = quantize(Tensor.constant(HostTensor.make([ROWS, 3], "float32", back)))
        assert.deepStrictEqual(read(again.codes), read(codes))
        read(again.z_q).forEach((value, at) => assert.closeTo(value, seen[at]!, 1e-6))
      }))))

  it.each([2, 3, 981, 1002, 2048, 4096, 65535, 65536])(
    "has the codes of %i levels and no others",
    (level) =>
      tf.tidy(() => {
        const wide = FiniteScalar.make({ codes: level, codeWidth: 1, levels: [level] })
        const ends = HostTensor.make([6, 1], "float32", Float32Array.of(-1e30, -100, -9, 9, 100, 1e30))
        assert.deepStrictEqual(read(wide.quantize({}, Tensor.constant(ends)).codes), [
          0,
          0,
          0,
          level - 1,
          level - 1,
          level - 1
        ])
      })
  )

  it.each([2, 3, 4, 5, 8, 16, 1001, 1002])(
    "gives a vector of 0 the middle of %i levels, and reaches every level",
    (level) =>
      tf.tidy(() => {
        const wide = FiniteScalar.make({ codes: level, codeWidth: 1, levels: [level] })
        const middle = wide.quantize({}, Tensor.zeros([1, 1]))
        assert.deepStrictEqual(read(middle.codes), [Math.floor(level / 2)])
        assert.deepStrictEqual(read(middle.z_q).map(Math.abs), [0])
        assert.closeTo(read(middle.z)[0]!, 0, 1e-6)
        const inner = Array.from(
          { length: level },
          (_, code) => unbent(FiniteScalar.vectorOf([level], code)[0]!, level)
        )
        const line = Float32Array.of(-30, ...inner.slice(1, -1), 30)
        const reached = read(wide.quantize({}, Tensor.constant(HostTensor.make([level, 1], "float32", line))).codes)
        assert.deepStrictEqual(reached, Array.from({ length: level }, (_, code) => code))
      })
  )

  it.each([
    [[3, 1], 3, "finiteScalar: channel 1 has 1 levels, but a whole number from 2 to 65536 is needed"],
    [[2.5, 2], 5, "finiteScalar: channel 0 has 2.5 levels, but a whole number from 2 to 65536 is needed"],
    [[], 1, "finiteScalar: 0 channels make 1 codes, but 2 to 16777216 can be counted"],
    [[65536, 512], 2 ** 25, "finiteScalar: 2 channels make 33554432 codes, but 2 to 16777216 can be counted"]
  ])(
    "refuses %j",
    (levels, codes, said) =>
      assert.throws(() => FiniteScalar.make({ codes, codeWidth: levels.length, levels }), ShapeError.ShapeError, said)
  )

  it("refuses codes and channels that its levels do not make", () =>
    assert.throws(
      () => FiniteScalar.make({ codes: 61, codeWidth: 3, levels: LEVELS }),
      ShapeError.ShapeError,
      "finiteScalar: levels 5, 4, 3 make 60 codes of 3 channels, not 61 of 3"
    ))

  it("lets the gradient pass as if nothing were rounded", () =>
    fc.assert(fc.property(fc.nat(), (seed) =>
      tf.tidy(() => {
        const [x, weight] = [drawn(seed, "vectors", ROWS, 3), drawn(seed, "weights", ROWS, 3)]
        const { gradients } = Gradient.valueAndGradient(
          (p: { readonly x: Vectors }) => ({
            loss: Reduction.sum(Elementwise.mul(quantize(p.x).z_q, Tensor.constant(weight))),
            aux: {}
          }),
          { x: Tensor.constant(x) }
        )
        read(gradients.x).forEach((slope, at) => {
          const level = LEVELS[at % 3]!
          const difference = (bounded(x.data[at]! + 1e-4, level) - bounded(x.data[at]! - 1e-4, level)) / 2e-4
          assert.closeTo(slope, weight.data[at]! * difference, 1e-3)
        })
      }))))
})

describe("random directions", () => {
  it("have unit length", () => {
    const { data } = Rows.units(5, 3, { seed: 1, purpose: "codebook", epoch: 0, index: 0 })
    for (const row of rows(Array.from(data))) assert.closeTo(Math.hypot(...row), 1, 1e-6)
    assert.isTrue(data.some((value) => value < 0) && data.some((value) => value > 0))
  })
})

describe("the codes of plain VQ", () => {
  it("begin within a share of their number", () => {
    const { embedding } = Parameter.initialise(plain.parameters!, 0)
    const most = Math.max(...embedding.weight.data.map(Math.abs))
    assert.isAtMost(most, 1 / CODES)
    assert.isAbove(most, 0.8 / CODES)
  })
})

describe("a revived code", () => {
  it("stays for 20 steps without use, and no longer", () => {
    for (const decay of [0.5, 0.99]) {
      const fresh = MovingAverage.freshCount({ decay, threshold: 0.1, vectors: 600, size: 12 })
      const after = (steps: number) => fresh * decay ** steps
      assert.isAbove(after(19), 0.1 * 600 / 12)
      assert.isBelow(after(21), 0.1 * 600 / 12)
    }
  })
})

const onSphere = (vector: ReadonlyArray<number>) => vector.map((x) => x / Math.hypot(...vector))
const asIs = (vector: ReadonlyArray<number>) => vector

describe.each([
  { kind: "codes that learn by gradient", quantizer: gradient, unit: onSphere },
  { kind: "codes of plain VQ", quantizer: plain, unit: asIs }
])("$kind", ({ quantizer, unit }) => {
  const distance = (x: ReadonlyArray<number>, table: ReadonlyArray<number>, chosen: ReadonlyArray<number>) =>
    rows(x).reduce((sum, vector, at) => {
      const [z, code] = [unit(vector), unit(rows(table)[chosen[at]!]!)]
      return sum + z.reduce((all, value, i) => all + (value - code[i]!) ** 2, 0)
    }, 0) / (3 * ROWS)
  const slopes = (of: (values: ReadonlyArray<number>) => number, values: ReadonlyArray<number>) =>
    values.map((value, at) => (of(values.with(at, value + 1e-4)) - of(values.with(at, value - 1e-4))) / 2e-4)

  it("are the nearest, and each loss pulls at one side", () =>
    fc.assert(fc.property(fc.nat(), (seed) =>
      tf.tidy(() => {
        const [x, table] = [drawn(seed, "vectors", ROWS, 3), drawn(seed, "codebook", CODES, 3)]
        const params = { x: Tensor.constant(x), codebook: Tensor.constant(table) }
        const quantized = (p: typeof params) => quantizer.quantize({ embedding: { weight: p.codebook } }, p.x)
        const chosen = read(quantized(params).codes)
        const entries = rows(Array.from(table.data)).map(unit)
        for (const [at, vector] of rows(Array.from(x.data)).entries()) {
          const nearness = entries.map((entry) => -Math.hypot(...entry.map((value, i) => value - unit(vector)[i]!)))
          assert.closeTo(nearness[chosen[at]!]!, Math.max(...nearness), 1e-5)
        }
        const pulled = (member: "codebook" | "commitment") => {
          const { gradients } = Gradient.valueAndGradient(
            (p: typeof params) => ({ loss: quantized(p).losses[member], aux: {} }),
            params
          )
          return { x: read(gradients.x), codebook: read(gradients.codebook) }
        }
        const none = (values: ReadonlyArray<number>) => values.every((value) => value === 0)
        const [codebook, commitment] = [pulled("codebook"), pulled("commitment")]
        assert.isTrue(none(codebook.x) && none(commitment.codebook))
        const [vectors, codes] = [Array.from(x.data), Array.from(table.data)]
        slopes((values) => 0.25 * distance(values, codes, chosen), vectors)
          .forEach((slope, at) => assert.closeTo(commitment.x[at]!, slope, 1e-3 * (1 + Math.abs(slope))))
        slopes((values) => distance(vectors, values, chosen), codes)
          .forEach((slope, at) => assert.closeTo(codebook.codebook[at]!, slope, 1e-3 * (1 + Math.abs(slope))))
      }))))
})

interface Autoencoder {
  readonly encoder: Tensor.Tensor<[3, 8]>
  readonly decoder: Tensor.Tensor<[8, 3]>
  readonly codebook: Tensor.Tensor<[typeof CODES, 3]>
}

const real = <const S extends ReadonlyArray<number>>(...shape: S) =>
  ({ shape, dtype: "float32" }) as Step.TensorSpec<{ -readonly [K in keyof S]: S[K] }, "float32">

const parameters = { encoder: real(3, 8), decoder: real(8, 3), codebook: real(CODES, 3) }

interface Batch {
  readonly x: Tensor.Tensor<[typeof ROWS, 8]>
}

interface Metrics {
  readonly loss: Tensor.Tensor<[]>
  readonly codes: Tensor.Tensor<[typeof ROWS], "int32">
}

const extra = (found: ReturnType<typeof gradient.quantize<typeof ROWS>>) => ({
  ...found,
  extra: Elementwise.add(found.losses.codebook, found.losses.commitment)
})

const quantizers = {
  "finite scalars": (x: Vectors) => ({ ...scalars.quantize({}, x), extra: Tensor.zeros([]) }),
  "learned codes": (x: Vectors, weight: Autoencoder["codebook"]) =>
    extra(gradient.quantize({ embedding: { weight } }, x)),
  "plain codes": (x: Vectors, weight: Autoencoder["codebook"]) => extra(plain.quantize({ embedding: { weight } }, x))
}

const training = (name: keyof typeof quantizers): Step.TrainStep<Autoencoder, Batch, Metrics> => ({
  name,
  state: parameters,
  batch: { x: real(ROWS, 8) },
  run: (state, { x }) => {
    const { aux, gradients, loss } = Gradient.valueAndGradient((p: Autoencoder) => {
      const hidden = Gradient.boundary(Linear.project(x, p.encoder))
      const { codes, extra, z_q } = quantizers[name](hidden, p.codebook)
      const back = Linear.project(Gradient.boundary(z_q), p.decoder)
      const error = Reduction.mean(Elementwise.square(Elementwise.sub(back, x)))
      return { loss: Elementwise.add(error, extra), aux: { codes } }
    }, state)
    const next = <S extends ReadonlyArray<number>>(value: Tensor.Tensor<S>, slope: Tensor.Tensor<S>) =>
      Elementwise.sub(value, Elementwise.scale(slope, 0.5))
    return {
      metrics: { loss, codes: aux.codes },
      state: {
        encoder: next(state.encoder, gradients.encoder),
        decoder: next(state.decoder, gradients.decoder),
        codebook: next(state.codebook, gradients.codebook)
      }
    }
  }
})

const initial = {
  encoder: drawn(1, "encoder", 3, 8),
  decoder: drawn(1, "decoder", 8, 3),
  codebook: drawn(1, "codebook", CODES, 3)
}

const trained = Effect.fnUntraced(function*(name: keyof typeof quantizers) {
  const handle = yield* (yield* Engine.Engine).train(training(name), initial)
  return yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => handle.run({ x: drawn(1, "batch", ROWS, 8) }))
}, Effect.scoped)

const low = { name: "onnx with low memory", layer: Engine.layerOnnx({ memory: "low" }) }

describe.each(["finite scalars", "learned codes", "plain codes"] as const)("an autoencoder over %s", (name) => {
  for (const candidate of [onnx, low, openvino, tensorflow]) {
    on(candidate, (it) => {
      it.effect("learns as on the reference", () =>
        Effect.gen(function*() {
          const found = yield* trained(name)
          const expected = yield* Effect.provide(trained(name), reference.layer)
          found.forEach(({ codes, loss }, step) => {
            assert.closeTo(HostTensor.item(loss), HostTensor.item(expected[step]!.loss), 1e-4)
            assert.deepStrictEqual(codes, expected[step]!.codes)
          })
          assert.isBelow(HostTensor.item(found.at(-1)!.loss), HostTensor.item(found[0]!.loss))
        }))
    })
  }
})

type B = Dim.Dim<"batch">

interface Projection {
  readonly encoder: Tensor.Tensor<[3, 48]>
}

interface Images {
  readonly images: Tensor.Tensor<[B, 3, 4, 4]>
}

interface Coded {
  readonly codes: Tensor.Tensor<[B], "int32">
}

const coding = (count: number): Step.Inference<Projection, Images, Coded> => {
  const batch = Dim.named("batch", count)
  return {
    name: "codes",
    weights: { encoder: real(3, 48) },
    batch: { images: real(batch, 3, 4, 4) },
    run: ({ encoder }, { images }) => ({
      codes: scalars.quantize({}, Linear.project(Arrange.reshape(images, [batch, 48]), encoder)).codes
    })
  }
}

describe("an exported quantizer", () => {
  it("gives the codes of any number of images", async () => {
    const encoder = drawn(1, "encoder", 3, 48)
    const bytes = OnnxExport.encode(coding, { weights: { encoder }, metadata: {} })
    const session = await InferenceSession.create(bytes)
    for (const count of [1, 2, 5]) {
      const images = drawn(count, "images", Dim.named("batch", count), 3, 4, 4)
      const found = await session.run({ images: new OrtTensor("float32", images.data, images.shape) })
      const expected = tf.tidy(() =>
        read(coding(count).run({ encoder: Tensor.constant(encoder) }, { images: Tensor.constant(images) }).codes)
      )
      assert.deepStrictEqual(Array.from(found["codes"]!.data as Int32Array), expected)
    }
    await session.release()
  })
})
