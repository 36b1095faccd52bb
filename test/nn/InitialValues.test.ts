import { assert, describe, it } from "@effect/vitest"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import * as Classifier from "../../src/nn/finetune/Classifier.ts"
import * as Mim from "../../src/nn/pretrain/Mim.ts"
import * as UperNet from "../../src/nn/segmentation/UperNet.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import type { Shape } from "../../src/shapes/Shape.ts"
import * as Tree from "../../src/shapes/Tree.ts"

const vit = { ...Vit.dims({ image: 32, patch: 8, width: 16, heads: 2 }), hidden: 24 } as const

const network = {
  ...vit,
  relativeRows: 52,
  depth: 3,
  absolutePositions: true,
  relativePositions: "both",
  qkvBias: true,
  layerScale: 0.1
} as const

const told = ({ factor, init }: Parameter.Parameter<Shape>): string => {
  const value = (x: number) => Number((x * factor).toPrecision(6))
  switch (init._tag) {
    case "Constant":
      return `${value(init.value)}`
    case "Uniform":
      return `within ${value(init.bound)}`
    case "Normal":
      return `deviation ${value(init.deviation)} cut at ${value(init.cut)}`
  }
}

type Rule = readonly [name: RegExp, expected: (shape: Shape, place: number) => string]

const normal = (deviation: number, cut: number) => `deviation ${Number(deviation.toPrecision(6))} cut at ${cut}`
const within = (fanIn: number, factor = 1) => `within ${Number((factor / Math.sqrt(fanIn)).toPrecision(6))}`
const product = (shape: Shape) => shape.reduce((all, dim) => all * dim, 1)
const depth = (place: number) => 1 / Math.sqrt(2 * (place + 1))
const scaled = (deviation: number, cut: number, place: number) =>
  `deviation ${Number((deviation * depth(place)).toPrecision(6))} cut at ${Number((cut * depth(place)).toPrecision(6))}`

const common: ReadonlyArray<Rule> = [
  [/gamma_[12]$/, () => "0.1"],
  [/norm[^.]*\.weight$|\.bn\.weight$/, () => "1"],
  [/norm[^.]*\.bias$|\.bn\.bias$|[qv]_bias$|bias_table$/, () => "0"]
]

const follows = (spec: object, rules: ReadonlyArray<Rule>): void => {
  const found = Tree.leaves<Parameter.Parameter<Shape>>(spec)
  for (const [name, leaf] of found) {
    const rule = [...common, ...rules].find(([pattern]) => pattern.test(name))
    const place = Number(/(?:blocks|layers)\.(\d+)\./.exec(name)?.[1] ?? -1)
    assert.strictEqual(`${name}: ${told(leaf)}`, `${name}: ${rule?.[1](leaf.shape, place)}`)
  }
  for (const [pattern] of rules) assert.isTrue(found.some(([name]) => pattern.test(name)), String(pattern))
}

describe("initial values", () => {
  it("of pretraining are cut at one deviation, and deeper outputs are smaller", () => {
    const spec = Mim.spec({
      ...network,
      codes: 6,
      initStd: 0.03,
      aggregation: { earlyLayer: 2, headDepth: 2, sharedHead: false }
    })
    follows(spec, [
      [/^cls_pt_layers\..*(?:proj|fc2)\.weight$/, ([, fanIn], place) => within(fanIn!, depth(2 + place))],
      [/^cls_pt_layers\..*weight$/, ([, fanIn]) => within(fanIn!)],
      [/^cls_pt_layers\..*fc2\.bias$/, () => within(24)],
      [/^cls_pt_layers\..*bias$/, () => within(16)],
      [/^blocks\..*(?:proj|fc2)\.weight$/, (_, place) => scaled(0.03, 0.03, place)],
      [/weight$|token$|pos_embed$/, () => normal(0.03, 0.03)],
      [/bias$/, () => "0"]
    ])
  })

  it("of fine-tuning are not cut, and patches and heads have their own", () => {
    follows(Classifier.spec({ ...network, pooling: "mean", headScale: 0.5, classes: 6 }), [
      [/^patch_embed\./, () => within(3 * 8 * 8)],
      [/^head\.weight$/, () => "deviation 0.01 cut at 1"],
      [/^blocks\..*(?:proj|fc2)\.weight$/, (_, place) => scaled(0.02, 2, place)],
      [/weight$|token$|pos_embed$/, () => normal(0.02, 2)],
      [/bias$/, () => "0"]
    ])
  })

  it("of the tokenizer are those of fine-tuning in both transformers", () => {
    follows(Vqkd.spec({ ...vit, depth: 2, decoderDepth: 2, qkvBias: true, codes: 6, codeWidth: 4, teacherWidth: 5 }), [
      [/^encoder\.patch_embed\./, () => within(3 * 8 * 8)],
      [/^decoder\.patch_embed\./, () => within(4)],
      [/blocks\..*(?:proj|fc2)\.weight$/, (_, place) => scaled(0.02, 2, place)],
      [/weight$|token$|pos_embed$/, () => normal(0.02, 2)],
      [/bias$/, () => "0"]
    ])
  })

  it("of the segmentation head follow the outputs of convolutions", () => {
    const { parameters } = UperNet.make({ patch: 16, width: 16, channels: 6, auxiliaryChannels: 5, classes: 4 })
    follows(parameters, [
      [/conv_seg\.weight$/, () => normal(0.01, Infinity)],
      [/^backbone\.fpn1\.1\.weight$/, () => "1"],
      [/^backbone\.fpn1\.1\.bias$/, () => "0"],
      [/^backbone\./, () => within(16 * 2 * 2)],
      [/\.conv\.weight$/, (shape) => normal(Math.sqrt(2 / (shape[0]! * product(shape.slice(2)))), Infinity)],
      [/bias$/, () => "0"]
    ])
    const statistics = (names: RegExp) =>
      Tree.leaves<Parameter.Parameter<Shape>>(
        UperNet.make({ patch: 16, width: 16, channels: 6, auxiliaryChannels: 5, classes: 4 }).running
      ).filter(([name]) => names.test(name)).map(([, leaf]) => told(leaf))
    assert.deepStrictEqual(new Set(statistics(/running_mean$/)), new Set(["0"]))
    assert.deepStrictEqual(new Set(statistics(/running_var$/)), new Set(["1"]))
  })

  it("are the draws of the parameter's own key", () => {
    const spec = { a: { weight: Parameter.byFanIn([3, 4], 4, 0.5) }, b: Parameter.constant([2], 3) }
    const { a, b } = Parameter.initialise(spec, 7)
    const draws = KeyedRandom.generator({ seed: 7, purpose: "init/a.weight", epoch: 0, index: 0 })
    assert.deepStrictEqual(
      [...a.weight.data],
      Array.from({ length: 12 }, () => Math.fround((2 * draws.uniform() - 1) * 0.25))
    )
    assert.deepStrictEqual([...b.data], [3, 3])
    assert.deepStrictEqual([...Parameter.zerosLike(spec).a.weight.data], Array.from({ length: 12 }, () => 0))
  })
})
