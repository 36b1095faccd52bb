import { assert, describe, it } from "@effect/vitest"
import * as FinetuneStep from "../../src/nn/FinetuneStep.ts"
import * as Parameter from "../../src/nn/Parameter.ts"
import * as PretrainStep from "../../src/nn/PretrainStep.ts"
import * as TokenizerStep from "../../src/nn/TokenizerStep.ts"
import * as Vit from "../../src/nn/Vit.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import * as Golden from "./golden.ts"

const { info } = Golden.json("misc")

interface Statistics {
  readonly mean: number
  readonly std: number
  readonly min: number
  readonly max: number
  readonly n: number
}

const vit = Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 })
const common = { vit, hidden: 3072, depth: 12, qkvBias: true } as const
const network = { ...common, relativeRows: 732, absolutePositions: false, layerScale: 0.1 } as const

const pretrain = PretrainStep.spec({
  ...network,
  initStd: 0.02,
  relativePositions: "shared",
  codes: 8192,
  aggregation: { earlyLayer: 9, headDepth: 2, sharedHead: true }
})

const finetune = FinetuneStep.spec({
  ...network,
  relativePositions: "perBlock",
  pooling: "mean",
  headScale: 0.001,
  classes: 1000
})

const tokenizer = TokenizerStep.spec({ ...common, decoderDepth: 3, codes: 8192, codeWidth: 32, teacherWidth: 512 })

const buffers = /relative_position_index$|^quantize\.|^scaling_layer\.|^teacher_model\./

const models = [
  ["pretrain", pretrain, info.pretrain_base_cls_pt_tensors, info.pretrain_base_cls_pt_param_count],
  ["finetune", finetune, info.ft_base_tensors, info.ft_base_param_count],
  ["tokenizer", tokenizer, info.vqkd_base_3_tensors, info.vqkd_base_3_learnable]
] as const

const SAMPLE = 20_000

const sample = (spec: object): object =>
  Parameter.initialise<object>(
    Tree.map(spec, (leaf) => ({ ...leaf, shape: [Math.min(HostTensor.size(leaf.shape), SAMPLE)] })),
    0
  )

const statistics = (data: Float32Array): Statistics => {
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length
  const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length
  return {
    mean,
    std: Math.sqrt(variance),
    min: data.reduce((least, x) => Math.min(least, x)),
    max: data.reduce((most, x) => Math.max(most, x)),
    n: data.length
  }
}

describe.each(models)("the parameters of %s", (_, spec, tensors, count) => {
  it("have the official names, shapes and number", () => {
    const official = Object.entries(tensors).filter(([path]) => !buffers.test(path))
    const ours = Tree.leaves(spec).map(([path, { shape }]) => [path, [...shape]] as const)
    assert.deepStrictEqual(Object.fromEntries(ours), Object.fromEntries(official))
    assert.strictEqual(ours.reduce((sum, [, shape]) => sum + HostTensor.size(shape), 0), count)
  })
})

describe.each([
  ["pretrain", pretrain, info.init_stats_pretrain_base],
  ["tokenizer", tokenizer, info.init_stats_vqkd_base_3]
])("the first values of %s", (_, spec, expected) => {
  const drawn = new Map(Tree.leaves<HostTensor.HostTensor<[number], "float32">>(sample(spec)))

  it.each(Object.entries<Statistics>(expected))("%s", (path, official) => {
    const ours = statistics(drawn.get(path)!.data)
    const noise = 5 * official.std
    assert.closeTo(ours.mean, official.mean, noise * Math.sqrt(1 / ours.n + 1 / official.n) + 1e-6)
    assert.closeTo(ours.std, official.std, noise * Math.sqrt(1 / ours.n + 1 / official.n) + 1e-6)
    const reach = 1.5 * Math.max(Math.abs(official.min), Math.abs(official.max)) + 1e-6
    assert.isAtMost(Math.max(-ours.min, ours.max), reach)
  })
})

describe("initialisation", () => {
  it("cuts pretraining at one deviation and leaves fine-tuning uncut", () => {
    const most = (regime: Parameter.Regime) => {
      const { weight } = Parameter.initialise({ weight: Parameter.normal([20_000], regime) }, 1)
      return statistics(weight.data.map(Math.abs)).max
    }
    assert.isAtMost(most(Parameter.pretraining(0.02)), 0.02)
    assert.isAbove(most(Parameter.pretraining(0.02)), 0.0199)
    assert.isAbove(most(Parameter.finetuning), 0.06)
  })

  it("draws each parameter from a stream of its own", () => {
    const alone = Parameter.initialise({ b: Parameter.normal([4], Parameter.finetuning) }, 3)
    const together = Parameter.initialise(
      { a: Parameter.normal([9], Parameter.finetuning), b: Parameter.normal([4], Parameter.finetuning) },
      3
    )
    assert.deepStrictEqual(alone.b, together.b)
    assert.notDeepEqual([...together.a.data.subarray(0, 4)], [...together.b.data])
  })

  it("makes the classifier's head as small as it is told", () => {
    const { weight } = Parameter.initialise(finetune.head, 0)
    assert.closeTo(statistics(weight.data).std, 2e-5, 1e-6)
  })
})
