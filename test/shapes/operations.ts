import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import { gated } from "../../examples/gatedLinear.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import {
  Activation,
  Arrange,
  Attention,
  BatchNorm,
  Codes,
  Convolution,
  Dim,
  Elementwise,
  FeatureMap,
  HostTensor,
  Linear,
  Loss,
  Normalization,
  Reduction,
  Tensor,
  Tokens
} from "../../src/shapes/index.ts"

tf.env().set("PROD", true)

type Any = Tensor.Any
type Inputs = Readonly<Record<string, Any>>

type Size = Dim.Dim<"size">

export const named = (size: number): Size => Dim.named("size", size)

const upTo = (max: number, min = 1): fc.Arbitrary<Size> => fc.integer({ min, max }).map(named)

const drawn = {
  batch: upTo(3),
  tokens: upTo(5),
  heads: upTo(3),
  channels: upTo(5, 3),
  out: upTo(5),
  rows: upTo(6),
  codes: upTo(7, 2),
  patch: upTo(3),
  down: upTo(3),
  across: upTo(3)
}

export interface Sizes extends Readonly<Record<keyof typeof drawn | "width", Size>> {}

export const sizes: fc.Arbitrary<Sizes> = fc.record(drawn)
  .map((size) => ({ ...size, width: named(size.heads * size.channels) }))

type Argument = ReadonlyArray<number> | { readonly bool: ReadonlyArray<number> } | {
  readonly codes: ReadonlyArray<number>
  readonly below: number
}

type Arguments<K extends string = string> = (size: Sizes) => Readonly<Record<K, Argument>>

export interface Operation {
  readonly name: string
  readonly gradient: boolean
  readonly arguments: Arguments
  run(inputs: Inputs, size: Sizes): Any | Inputs
}

const operation = <K extends string>(
  name: string,
  args: Arguments<K>,
  run: (inputs: Readonly<Record<K, Any>>, size: Sizes) => Any | Inputs,
  options: { readonly gradient: boolean } = { gradient: true }
): Operation => ({ name, arguments: args, run, ...options })

const discrete = { gradient: false }

const grid = ({ batch, tokens, width }: Sizes) => [batch, tokens, width]
const two = (size: Sizes) => ({ a: grid(size), b: grid(size) })
const one = (size: Sizes) => ({ x: grid(size) })
const scalar = (size: Sizes) => ({ x: grid(size), y: [] })
const channels = (size: Sizes) => ({ x: grid(size), y: [size.width] })
const heads = ({ batch, heads, tokens, channels }: Sizes) => [batch, heads, tokens, channels]
const attention = (size: Sizes) => ({ query: heads(size), key: heads(size), value: heads(size) })
const bias = ({ heads, tokens }: Sizes) => [heads, tokens, tokens]
const layer = ({ rows, width, out }: Sizes) => ({ x: [rows, width], weight: [out, width], bias: [out] })
const logits = ({ rows, codes }: Sizes) => ({ x: [rows, codes], labels: { codes: [rows], below: codes } })
const image = ({ batch, patch, down, across }: Sizes) => [batch, 3, down * patch, across * patch]
const patches = ({ batch, patch, down, across }: Sizes) => [batch, down * across, 3 * patch * patch]
const field = ({ batch, patch, down, across, channels }: Sizes) => [batch, down * patch, across * patch, channels]
const norm = (size: Sizes) => ({ x: field(size), weight: [size.channels], bias: [size.channels] })
const codebook = ({ rows, codes, width }: Sizes) => ({ x: [rows, width], table: [codes, width] })
const rowCodes = ({ rows, codes }: Sizes) => ({ codes: [rows], below: codes })

const masks = (size: Sizes) => ({ a: { bool: grid(size) }, b: { bool: grid(size) } })

const plus = (x: Any, at: (index: number) => number): Any =>
  Elementwise.add(
    x,
    Tensor.constant(
      HostTensor.make(
        x.shape as ReadonlyArray<number>,
        "float32",
        Float32Array.from({ length: HostTensor.size(x.shape) }, (_, index) => at(index))
      )
    )
  )

const away = (x: Any): Any => plus(x, (index) => (index % 2 === 0 ? 8 : -8))

const steep = (x: Any): Any => plus(Elementwise.scale(x, 0.1), (index) => 7 * index % 61)

const kinds = (
  name: string,
  run: (inputs: Readonly<Record<"x", Any>>, size: Sizes) => Any | Inputs
): ReadonlyArray<Operation> => [
  operation(name, one, run),
  operation(`${name} of codes`, (size) => ({ x: { codes: grid(size), below: 9 } }), run, discrete),
  operation(`${name} of truths`, (size) => ({ x: { bool: grid(size) } }), run, discrete)
]

const apart = ([batch, channels, height, width]: ReadonlyArray<number>, size: number): Any => {
  const places = Float32Array.from({ length: batch! * channels! * height! * width! }, (_, i) => {
    const place = Math.floor(i / width!) % height! % size * size + i % width! % size
    return 5 * place % size ** 2
  })
  return Tensor.constant(HostTensor.make([batch!, channels!, height!, width!], "float32", places))
}

export const operations: ReadonlyArray<Operation> = [
  operation("Elementwise.add", two, ({ a, b }) => Elementwise.add(a, b)),
  operation("Elementwise.sub", two, ({ a, b }) => Elementwise.sub(a, b)),
  operation("Elementwise.mul", two, ({ a, b }) => Elementwise.mul(a, b)),
  operation("Elementwise.div", two, ({ a, b }) => Elementwise.div(a, Elementwise.shift(Elementwise.square(b), 1))),
  operation("Elementwise.scale", one, ({ x }) => Elementwise.scale(x, 0.3)),
  operation("Elementwise.shift", one, ({ x }) => Elementwise.shift(x, 0.3)),
  operation("Elementwise.scaleBy", scalar, ({ x, y }) => Elementwise.scaleBy(x, y)),
  operation("Elementwise.shiftBy", scalar, ({ x, y }) => Elementwise.shiftBy(x, y)),
  operation("Elementwise.addBias", channels, ({ x, y }) => Elementwise.addBias(x, y)),
  operation("Elementwise.scaleChannels", channels, ({ x, y }) => Elementwise.scaleChannels(x, y)),
  operation(
    "Elementwise.scaleSamples",
    (size) => ({ x: grid(size), y: [size.batch] }),
    ({ x, y }) => Elementwise.scaleSamples(x, y)
  ),
  operation(
    "Elementwise.addToSamples",
    (size) => ({ x: grid(size), y: [1, size.tokens, size.width] }),
    ({ x, y }) => Elementwise.addToSamples(x, y)
  ),
  operation("Elementwise.square", one, ({ x }) => Elementwise.square(x)),
  operation("Elementwise.sqrt", one, ({ x }) => Elementwise.sqrt(Elementwise.shift(Elementwise.square(x), 1))),
  operation(
    "Elementwise.reciprocal",
    one,
    ({ x }) => Elementwise.reciprocal(Elementwise.shift(Elementwise.square(x), 1))
  ),
  operation("Elementwise.maximum", two, ({ a, b }) => Elementwise.maximum(away(a), b)),
  operation("Elementwise.minimum", two, ({ a, b }) => Elementwise.minimum(away(a), b)),
  operation("Elementwise.maximum of equal ones", one, ({ x }) => Elementwise.maximum(x, x)),
  operation("Elementwise.exp", one, ({ x }) => Elementwise.exp(x)),
  operation("Elementwise.log", one, ({ x }) => Elementwise.log(Elementwise.shift(Elementwise.square(x), 1))),
  operation("Elementwise.abs", one, ({ x }) => Elementwise.abs(away(x))),
  operation("Elementwise.sign", one, ({ x }) => Elementwise.sign(x), discrete),
  operation("Elementwise.round", one, ({ x }) => Elementwise.round(x), discrete),
  operation("Elementwise.floor", one, ({ x }) => Elementwise.floor(x), discrete),
  operation("Elementwise.atMost", one, ({ x }) => Elementwise.atMost(x, 0.5), discrete),
  operation("Elementwise.atLeast", one, ({ x }) => Elementwise.atLeast(x, 0.5), discrete),
  operation("Elementwise.isFinite", one, ({ x }) => Elementwise.isFinite(x), discrete),
  operation("Elementwise.isBelow", one, ({ x }) => Elementwise.isBelow(x, 0.5), discrete),
  operation(
    "Elementwise.isBelow within a gradient",
    one,
    ({ x }) => Elementwise.where(Elementwise.isBelow(away(x), 0), Elementwise.square(away(x)), Elementwise.scale(x, 3))
  ),
  operation("Elementwise.lessThan", two, ({ a, b }) => Elementwise.lessThan(a, b), discrete),
  operation("Elementwise.isAbove", one, ({ x }) => Elementwise.isAbove(x, 0.5), discrete),
  operation("Elementwise.greaterThan", two, ({ a, b }) => Elementwise.greaterThan(a, b), discrete),
  operation("Elementwise.and", masks, ({ a, b }) => Elementwise.and(a, b), discrete),
  operation("Elementwise.or", masks, ({ a, b }) => Elementwise.or(a, b), discrete),
  operation(
    "Elementwise.not",
    (size) => ({ mask: { bool: grid(size) } }),
    ({ mask }) => Elementwise.not(mask),
    discrete
  ),
  operation(
    "Elementwise.where",
    (size) => ({ ...two(size), mask: { bool: grid(size) } }),
    ({ a, b, mask }) => Elementwise.where(mask, a, b)
  ),
  operation(
    "Elementwise.select",
    (size) => ({ ...two(size), mask: { bool: [] } }),
    ({ a, b, mask }) => Elementwise.select(mask, a, b),
    discrete
  ),
  operation(
    "Elementwise.whereRows",
    ({ rows, width }) => ({ a: [rows, width], b: [rows, width], mask: { bool: [rows] } }),
    ({ a, b, mask }) => Elementwise.whereRows(mask, a, b)
  ),
  operation(
    "Elementwise.zeroUnless",
    (size) => ({ ...one(size), mask: { bool: [] } }),
    ({ x, mask }) => Elementwise.zeroUnless(mask, x),
    discrete
  ),
  operation(
    "Elementwise.toFloat",
    (size) => ({ mask: { bool: grid(size) } }),
    ({ mask }) => Elementwise.toFloat(mask),
    discrete
  ),
  operation("Elementwise.stopGradient", one, ({ x }) => Elementwise.stopGradient(x), discrete),

  ...kinds(
    "Arrange.reshape",
    ({ x }, { batch, tokens, heads: count, channels: each }) => Arrange.reshape(x, [batch, tokens, count, each])
  ),
  ...kinds("Arrange.transpose", ({ x }) => Arrange.transpose(x, [2, 0, 1])),
  ...kinds("Arrange.slice", ({ x }, { width }) => Arrange.slice(x, -1, 1, named(width - 1))),
  ...kinds("Arrange.split", ({ x }, { width }) => {
    const [first, second] = Arrange.split(x, 2, [1, named(width - 1)])
    return { first, second }
  }),
  ...kinds("Arrange.concat", ({ x }) => Arrange.concat([Arrange.slice(x, -1, 0, 1), x, x], -1)),
  ...kinds("Arrange.stack", ({ x }) => Arrange.stack([x, x, x], 1)),
  ...kinds("Arrange.stack at the end", ({ x }) => Arrange.stack([x, x], -1)),
  ...kinds("Arrange.repeat", ({ x }, { out }) => Arrange.repeat(x, 1, out)),

  operation("Activation.gelu", one, ({ x }) => Activation.gelu(x)),
  operation("Activation.quickGelu", one, ({ x }) => Activation.quickGelu(x)),
  operation("Activation.tanh", one, ({ x }) => Activation.tanh(x)),
  operation("Activation.relu", one, ({ x }) => Activation.relu(away(x))),
  operation("Activation.sigmoid", one, ({ x }) => Activation.sigmoid(x)),
  operation("Activation.silu", one, ({ x }) => Activation.silu(x)),
  operation("Activation.logSoftmax", one, ({ x }) => Activation.logSoftmax(x)),
  operation("Activation.softmax", one, ({ x }) => Activation.softmax(x)),

  operation(
    "Attention.splitHeads",
    ({ batch, tokens, width }) => ({ x: [batch, tokens, 3 * width] }),
    ({ x }, { width, heads: count }) => ({ ...Attention.splitHeads(x, width, count) })
  ),
  operation(
    "Attention.mergeHeads",
    (size) => ({ x: heads(size) }),
    ({ x }, { width }) => Attention.mergeHeads(x, width)
  ),
  operation("Attention.attention", attention, ({ query, key, value }) => Attention.attention(query, key, value)),
  operation(
    "Attention.attention with a bias",
    (size) => ({ ...attention(size), bias: bias(size) }),
    (x) => Attention.attention(x.query, x.key, x.value, x.bias)
  ),
  operation(
    "Attention.attentionWeights",
    (size) => ({ query: heads(size), key: heads(size), bias: bias(size) }),
    (x) => Attention.attentionWeights(x.query, x.key, x.bias),
    { gradient: false }
  ),
  operation(
    "Attention.firstTokenWeights",
    (size) => ({ query: heads(size), key: heads(size), bias: bias(size) }),
    (x) => Attention.firstTokenWeights(x.query, x.key, x.bias),
    { gradient: false }
  ),
  operation(
    "Attention.relativeBias",
    (size) => ({ table: [size.codes, size.heads] }),
    ({ table }, { tokens, codes }) =>
      Attention.relativeBias(
        table,
        HostTensor.make(
          [tokens, tokens],
          "int32",
          Int32Array.from({ length: tokens * tokens }, (_, pair) => (pair * 5) % codes)
        )
      )
  ),
  operation(
    "Attention.queryValueBias",
    ({ width }) => ({ query: [width], value: [width] }),
    ({ query, value }) => Attention.queryValueBias(query, value)
  ),

  operation(
    "Linear.project",
    ({ rows, width, out }) => ({ x: [rows, width], weight: [out, width] }),
    ({ x, weight }) => Linear.project(x, weight)
  ),
  operation("Linear.linear", layer, ({ x, weight, bias: offset }) => Linear.linear(x, { weight, bias: offset })),
  operation(
    "Linear.linear with exact products",
    layer,
    ({ x, weight, bias: offset }) => Linear.linear(x, { weight, bias: offset }, { exact: true })
  ),
  operation(
    "Linear.matMul",
    ({ batch, tokens, width, out }) => ({ a: [batch, tokens, width], b: [batch, width, out] }),
    ({ a, b }) => Linear.matMul(a, b)
  ),
  operation(
    "Linear.matMulTransposed",
    ({ batch, tokens, width, out }) => ({ a: [batch, tokens, width], b: [batch, out, width] }),
    ({ a, b }) => Linear.matMulTransposed(a, b)
  ),

  operation(
    "gated",
    ({ rows, width, out }) => ({ x: [rows, width], gate: [out, width], value: [out, width], back: [width, out] }),
    ({ x, gate, value, back }) => gated(x, { gate, value, out: back })
  ),

  operation(
    "Normalization.layerNorm",
    (size) => ({ x: grid(size), weight: [size.width], bias: [size.width] }),
    ({ x, weight, bias: offset }) => Normalization.layerNorm(x, { weight, bias: offset }, 1e-3)
  ),
  operation(
    "Normalization.batchNorm",
    (size) => ({ x: image(size), weight: [3], bias: [3], mean: [3], spread: [3] }),
    ({ x, weight, bias: offset, mean, spread }) =>
      Normalization.batchNorm(
        x,
        { weight, bias: offset, running_mean: mean, running_var: Elementwise.shift(Elementwise.square(spread), 1) },
        1e-3
      )
  ),
  operation(
    "BatchNorm.train",
    (size) => ({ ...norm(size), x: [size.batch, size.down + 1, size.across, size.channels] }),
    ({ x, weight, bias: offset }) => BatchNorm.train(steep(x), { weight, bias: offset }, 1e-3).y
  ),
  operation(
    "BatchNorm.evaluate",
    (size) => ({ ...norm(size), mean: [size.channels], spread: [size.channels] }),
    ({ x, weight, bias: offset, mean, spread }) =>
      BatchNorm.evaluate(
        x,
        { weight, bias: offset },
        { running_mean: mean, running_var: Elementwise.shift(Elementwise.square(spread), 1) },
        1e-3
      )
  ),
  operation(
    "BatchNorm.follow",
    ({ channels }) => ({ running_mean: [channels], running_var: [channels], mean: [channels], variance: [channels] }),
    ({ mean, running_mean, running_var, variance }) => ({
      ...BatchNorm.follow({ running_mean, running_var }, { mean, variance, count: 5 }, 0.1)
    }),
    discrete
  ),
  operation("Normalization.l2Normalize", one, ({ x }) => Normalization.l2Normalize(x)),
  operation(
    "Normalization.standardise",
    (size) => ({ x: image(size) }),
    ({ x }) => Normalization.standardise(x, { mean: [0.4, 0.5, 0.1], std: [0.2, 0.3, 0.5] })
  ),
  operation("Normalization.cosine", two, ({ a, b }) => Normalization.cosine(a, b)),

  operation("Reduction.mean", one, ({ x }) => Reduction.mean(x)),
  operation("Reduction.sum", one, ({ x }) => Reduction.sum(x)),
  operation("Reduction.sumLast", one, ({ x }) => Reduction.sumLast(x)),
  operation("Reduction.maxLast", one, ({ x }) => Reduction.maxLast(steep(x))),
  operation("Arrange.transpose from the end", one, ({ x }) => Arrange.transpose(x, [-1, 0, -2])),
  ...[0, 1, 2, -1].flatMap((axis) => [
    operation(`Reduction.sumAlong ${axis}`, one, ({ x }) => Reduction.sumAlong(x, axis)),
    operation(`Reduction.meanAlong ${axis}`, one, ({ x }) => Reduction.meanAlong(x, axis)),
    operation(`Reduction.maxAlong ${axis}`, one, ({ x }) => Reduction.maxAlong(steep(x), axis)),
    operation(`Reduction.minAlong ${axis}`, one, ({ x }) => Reduction.minAlong(steep(x), axis))
  ]),
  operation("Reduction.meanTokens", one, ({ x }) => Reduction.meanTokens(x)),
  operation("Reduction.globalNorm", two, (tree) => Reduction.globalNorm(tree), discrete),

  operation("Loss.crossEntropy", logits, ({ x, labels: y }) => Loss.crossEntropy(x, y)),
  operation("Loss.crossEntropy with smoothing", logits, ({ x, labels: y }) => Loss.crossEntropy(x, y, 0.1)),
  operation(
    "Loss.softCrossEntropy",
    ({ rows, codes }) => ({ x: [rows, codes], targets: [rows, codes] }),
    ({ x, targets }) => Loss.softCrossEntropy(x, targets)
  ),
  operation("Loss.crossEntropyExcept", logits, ({ x, labels: y }) => Loss.crossEntropyExcept(x, y, 1)),
  operation("Loss.accuracy", logits, ({ x, labels: y }) => Loss.accuracy(x, y), discrete),

  operation(
    "FeatureMap.ofTokens",
    ({ batch, down, across, width }) => ({ x: [batch, down * across, width] }),
    ({ x }, { down, across }) => FeatureMap.ofTokens(x, down, across)
  ),
  operation("FeatureMap.channelsLast", (size) => ({ x: image(size) }), ({ x }) => FeatureMap.channelsLast(x)),
  operation("FeatureMap.channelsFirst", (size) => ({ x: field(size) }), ({ x }) => FeatureMap.channelsFirst(x)),
  ...[1, 3, 5].map((side) =>
    operation(
      `FeatureMap.convolve by ${side}`,
      (size) => ({ x: field(size), weight: [size.out, size.channels, side, side] }),
      ({ x, weight }) => FeatureMap.convolve(x, weight)
    )
  ),
  operation("FeatureMap.anySides", (size) => ({ x: field(size) }), ({ x }) => FeatureMap.anySides(x)),
  operation("FeatureMap.pixels", (size) => ({ x: field(size) }), ({ x }) => FeatureMap.pixels(x)),
  operation(
    "FeatureMap.labels",
    ({ batch, down, across }) => ({ labels: { codes: [batch, down, across], below: 9 } }),
    ({ labels }) => FeatureMap.labels(labels),
    discrete
  ),
  operation(
    "FeatureMap.labelsOfAnySides",
    ({ batch, down, across }) => ({ labels: { codes: [batch, down, across], below: 9 } }),
    ({ labels }) => FeatureMap.labelsOfAnySides(labels),
    discrete
  ),
  operation(
    "FeatureMap.join",
    (size) => ({ x: field(size) }),
    ({ x }, { channels }) => FeatureMap.join(x, [x], named(2 * channels))
  ),
  operation(
    "FeatureMap.scaleChannels",
    (size) => ({ x: field(size), factors: [size.batch, size.channels] }),
    ({ x, factors }) => FeatureMap.scaleChannels(x, factors)
  ),
  operation(
    "FeatureMap.resize",
    (size) => ({ x: field(size) }),
    ({ x }, { rows, codes }) => FeatureMap.resize(x, rows, codes)
  ),
  operation(
    "FeatureMap.adaptiveAveragePool",
    (size) => ({ x: field(size) }),
    ({ x }, { rows, codes }) => FeatureMap.adaptiveAveragePool(x, rows, codes)
  ),

  operation("Tokens.patchify", (size) => ({ x: image(size) }), ({ x }, { patch }) => Tokens.patchify(x, patch)),
  operation(
    "Tokens.unpatchify",
    (size) => ({ x: patches(size) }),
    ({ x }, { patch, down, across }) =>
      Tokens.unpatchify(x, { channels: 3, height: down * patch, width: across * patch, patch })
  ),
  operation(
    "Tokens.patchEmbed",
    (size) => ({ x: image(size), weight: [size.width, 3, size.patch, size.patch], bias: [size.width] }),
    ({ x, weight, bias: offset }) => Tokens.patchEmbed(x, { weight, bias: offset })
  ),
  operation(
    "Tokens.patchProject",
    (size) => ({ x: image(size), weight: [size.width, 3, size.patch, size.patch] }),
    ({ x, weight }) => Tokens.patchProject(x, weight)
  ),
  operation(
    "Tokens.asLinear",
    (size) => ({ x: grid(size), weight: [size.out, size.width, 1, 1], bias: [size.out] }),
    ({ x, weight, bias: offset }) => Linear.linear(x, Tokens.asLinear({ weight, bias: offset }))
  ),
  operation("Tokens.repeat", ({ width }) => ({ x: [1, 1, width] }), ({ x }, { batch }) => Tokens.repeat(x, batch)),
  operation("Tokens.asToken", ({ width }) => ({ x: [width] }), ({ x }) => Tokens.asToken(x)),
  operation("Tokens.asSample", ({ rows, width }) => ({ x: [rows, width] }), ({ x }) => Tokens.asSample(x)),
  operation(
    "Tokens.blend",
    ({ tokens, width }) => ({ x: [1, tokens, width] }),
    ({ x }, { rows, tokens }) =>
      Tokens.blend(
        HostTensor.make(
          [rows, tokens],
          "float32",
          Float32Array.from({ length: rows * tokens }, (_, at) => Math.cos(at))
        ),
        x
      )
  ),
  operation(
    "Tokens.prepend",
    (size) => ({ token: [size.batch, 1, size.width], x: grid(size) }),
    ({ token, x }) => Tokens.prepend(token, x)
  ),
  operation("Tokens.classToken", one, ({ x }) => Tokens.classToken(x)),
  operation(
    "Tokens.patchTokens",
    ({ batch, tokens, width }) => ({ x: [batch, tokens + 1, width] }),
    ({ x }, { tokens }) => Tokens.patchTokens(x, tokens)
  ),
  operation(
    "Tokens.replaceMasked",
    (size) => ({ x: grid(size), token: [1, 1, size.width], mask: { bool: [size.batch, size.tokens] } }),
    ({ x, mask, token }) => Tokens.replaceMasked(x, mask, token)
  ),
  operation(
    "Tokens.selectRows",
    (size) => ({ ...one(size), rows: { codes: [size.rows], below: size.batch * size.tokens } }),
    ({ x, rows }) => Tokens.selectRows(x, rows)
  ),
  operation(
    "Tokens.factorsOfRows",
    (size) => ({ x: [size.batch], rows: { codes: [size.rows], below: size.batch * size.tokens } }),
    ({ x, rows }, { tokens }) => Tokens.factorsOfRows(x, tokens, rows)
  ),
  operation("Tokens.rows", one, ({ x }) => Tokens.rows(x)),
  operation(
    "Tokens.batched",
    ({ batch, tokens, width }) => ({ x: [batch * tokens, width] }),
    ({ x }, { batch, tokens }) => Tokens.batched(x, batch, tokens)
  ),
  operation("Tokens.squeeze", ({ batch, width }) => ({ x: [batch, 1, width] }), ({ x }) => Tokens.squeeze(x)),

  operation(
    "Convolution.map",
    ({ batch, down, across, width }) => ({ x: [batch, down * across, width] }),
    ({ x }, { down, across }) => Convolution.map(x, down, across)
  ),
  operation(
    "Convolution.transposed",
    (size) => ({ x: image(size), weight: [3, size.out, size.patch, size.patch], bias: [size.out] }),
    ({ x, weight, bias: offset }) => Convolution.transposed(x, { weight, bias: offset })
  ),
  operation(
    "Convolution.maxPool",
    (size) => ({ x: image(size) }),
    ({ x }, { patch }) => {
      const pooled = Convolution.maxPool(Elementwise.add(Elementwise.scale(x, 0.1), apart(x.shape, patch)), patch)
      return Elementwise.scale(pooled, 10)
    }
  ),
  operation(
    "Convolution.maxPool with a remainder",
    (size) => ({ x: image(size).map((side, axis) => (axis < 2 ? side : side + 1)) }),
    ({ x }) => Convolution.maxPool(Elementwise.add(Elementwise.scale(x, 0.1), apart(x.shape, 2)), 2)
  ),

  operation("Codes.argMax", one, ({ x }) => Codes.argMax(x), discrete),
  operation("Codes.fromFloat", one, ({ x }) => Codes.fromFloat(Elementwise.scale(x, 3)), discrete),
  operation(
    "Codes.oneHot",
    (size) => ({ codes: rowCodes(size) }),
    ({ codes }, size) => Codes.oneHot(codes, named(size.codes - 1)),
    discrete
  ),
  operation(
    "Codes.equal",
    (size) => ({ a: rowCodes(size), b: rowCodes(size) }),
    ({ a, b }) => Codes.equal(a, b),
    discrete
  ),
  operation("Codes.nearest", codebook, ({ x, table }) => Codes.nearest(x, table), discrete),
  operation(
    "Codes.lookup",
    (size) => ({ table: [size.codes, size.width], codes: rowCodes(size) }),
    ({ table, codes }) => Codes.lookup(table, codes)
  ),
  operation("Codes.straightThrough", two, ({ a, b }) => Codes.straightThrough(a, b), discrete),
  operation(
    "Codes.sumByCode",
    (size) => ({ x: [size.rows, size.width], codes: rowCodes(size) }),
    ({ x, codes }, size) => Codes.sumByCode(x, codes, size.codes),
    discrete
  ),
  operation(
    "Codes.countByCode",
    (size) => ({ codes: rowCodes(size) }),
    ({ codes }, size) => Codes.countByCode(codes, size.codes),
    discrete
  ),
  operation(
    "Codes.asGrid",
    ({ batch, tokens, codes }) => ({ codes: { codes: [batch * tokens], below: codes } }),
    ({ codes }, { batch, tokens }) => Codes.asGrid(codes, batch, tokens),
    discrete
  )
]

export type Host = Readonly<Record<string, HostTensor.Any>>

const mapValues = <A, B>(record: Readonly<Record<string, A>>, f: (value: A, key: string) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]))

const draw = (argument: Argument, random: KeyedRandom.Generator): HostTensor.Any => {
  if ("bool" in argument) {
    const values = Uint8Array.from({ length: HostTensor.size(argument.bool) }, () => random.integer(0, 1))
    return HostTensor.make(argument.bool, "bool", values)
  }
  if ("codes" in argument) {
    const values = Int32Array.from(
      { length: HostTensor.size(argument.codes) },
      () => random.integer(0, argument.below - 1)
    )
    return HostTensor.make(argument.codes, "int32", values)
  }
  return HostTensor.make(argument, "float32", Float32Array.from({ length: HostTensor.size(argument) }, random.normal))
}

export const inputs = (
  operation: Operation,
  size: Sizes,
  seed: number
): { readonly floats: Host; readonly rest: Host } => {
  const drawn = Object.entries(operation.arguments(size)).map(([name, argument]) =>
    [name, draw(argument, KeyedRandom.generator({ seed, purpose: name, epoch: 0, index: 0 }))] as const
  )
  return {
    floats: Object.fromEntries(drawn.filter(([, { dtype }]) => dtype === "float32")),
    rest: Object.fromEntries(drawn.filter(([, { dtype }]) => dtype !== "float32"))
  }
}

const rooms = {
  Activation,
  Arrange,
  Attention,
  BatchNorm,
  Codes,
  Convolution,
  Elementwise,
  FeatureMap,
  Linear,
  Loss,
  Normalization,
  Reduction,
  Tokens
}

export const exported = Object.entries(rooms)
  .flatMap(([room, members]) => Object.keys(members).map((name) => `${room}.${name}`))

export const helpers = ["Elementwise.pairwise", "Elementwise.unary", "Tokens.gridOf"]

export const upload = (host: Host): Inputs =>
  mapValues(host, (value) => Tensor.constant<ReadonlyArray<number>, HostTensor.DType>(value))
