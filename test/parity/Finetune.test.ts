import { assert, describe, it } from "@effect/vitest"
import * as LayerDecay from "../../src/domain/LayerDecay.ts"
import * as WeightDecay from "../../src/domain/WeightDecay.ts"
import * as AdamW from "../../src/nn/AdamW.ts"
import * as Block from "../../src/nn/Block.ts"
import * as Classifier from "../../src/nn/Classifier.ts"
import * as FinetuneStep from "../../src/nn/FinetuneStep.ts"
import * as Parameter from "../../src/nn/Parameter.ts"
import * as Vit from "../../src/nn/Vit.ts"
import * as Attention from "../../src/shapes/Attention.ts"
import * as Gradient from "../../src/shapes/Gradient.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Loss from "../../src/shapes/Loss.ts"
import * as Normalization from "../../src/shapes/Normalization.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Tokens from "../../src/shapes/Tokens.ts"
import * as Eager from "./eager.ts"

const vit = Vit.dims({ image: 32, patch: 8, width: 32, heads: 2 })

type Sizes = FinetuneStep.Sizes<32, 32, 8, 32, 128, 2, 52, 10>
type Params = FinetuneStep.Params<32, 32, 8, 32, 128, 2, 52, 10>
type State = AdamW.State<Params>

const common = {
  vit,
  hidden: 128,
  relativeRows: 52,
  classes: 10,
  qkvBias: true,
  headScale: 1,
  layerScale: 0.1
} as const

const variants: Readonly<Record<string, Sizes>> = {
  finetune_meanpool: {
    ...common,
    depth: 4,
    absolutePositions: false,
    relativePositions: "perBlock",
    pooling: "mean"
  },
  finetune_cls_shared_abs: {
    ...common,
    depth: 2,
    absolutePositions: true,
    relativePositions: "shared",
    pooling: "cls"
  }
}

const inputs = <B extends number>(fixture: Eager.Fixture, size: B, batches: ReadonlyArray<number>) => ({
  images: HostTensor.make(
    [size, 3, 32, 32],
    "float32",
    Float32Array.from(batches.flatMap((batch) => [...fixture.numbers(`input/images_${batch}`)]))
  ),
  labels: HostTensor.make(
    [size],
    "int32",
    Int32Array.from(batches.flatMap((batch) => [...fixture.tensor(`input/labels_${batch}`).data]))
  )
})

const begin = (fixture: Eager.Fixture, spec: object): HostOf<State> =>
  Eager.filled<State>({ parameters: spec, first: spec, second: spec }, (path) => {
    const [group, ...name] = path.split(".")
    const values = fixture.numbers(`state/${name.join(".")}`)
    return group === "parameters" ? values : values.map(() => 0)
  })

const officialNames = (fixture: Eager.Fixture) =>
  fixture.keys("state").filter((key) => !key.endsWith("relative_position_index"))

const plain: AdamW.Options = { betas: [0, 0.999], weightDecay: 0, clipNorm: null, decays: () => false }

describe.each(Object.keys(variants))("%s", (name) => {
  const sizes = variants[name]!
  const fixture = Eager.fixture(name)
  const spec = FinetuneStep.spec(sizes)
  const state = begin(fixture, spec)
  const context = { heads: vit.heads, index: Vit.relativeIndex({ height: 4, width: 4 }, vit.tokens) }

  it("has the official names", () => {
    assert.deepStrictEqual(Eager.names(spec), officialNames(fixture))
  })

  it("has the official tokens, attention and logits", () => {
    const found = Eager.eagerly(
      { params: state.parameters, pictures: inputs(fixture, 4, [0]).images },
      ({ params, pictures }: { readonly params: Params; readonly pictures: Tensor<[4, 3, 32, 32]> }) => {
        const embedded = Tokens.patchEmbed(pictures, params.patch_embed.proj)
        const tokens = Vit.withClassToken(params, embedded)
        const blocks = Vit.blocks(params, tokens, context)
        const last = params.blocks.at(-1)!
        const normed = Normalization.layerNorm(blocks.at(-2)!, last.norm1, Block.EPSILON)
        const bias = Vit.sharedBias(params, context.index)
        const heads = Block.project(last.attn, normed, { ...context, bias })
        return {
          blocks,
          attention: Attention.attentionWeights(heads.query, heads.key, heads.bias),
          features: Classifier.pool(params, blocks.at(-1)!, vit.patches)
        }
      }
    )
    const { logits } = Eager.infer(FinetuneStep.logits(sizes, 4), { parameters: state.parameters }, {
      images: inputs(fixture, 4, [0]).images
    })
    assert.strictEqual(found.blocks.length, sizes.depth)
    found.blocks.forEach((block, place) => fixture.matches(`out/block_${place}`, block))
    fixture.matches("out/attention_last_block", found.attention)
    fixture.matches("out/features", found.features)
    fixture.matches("out/logits", logits)
  })

  it("has the official loss and gradients", () => {
    const step = FinetuneStep.step(sizes, { size: 4, dropPath: false }, { adamw: plain, labelSmoothing: 0.1 })
    const hyper = AdamW.hyper(0, 1e-3, { betas: plain.betas, eps: 1e-8 })
    const given = { ...inputs(fixture, 4, [0]), hyper }
    const { metrics, state: next } = Eager.train(step, state, given)
    fixture.matches("out/loss_label_smoothing_0.1", metrics.loss)
    fixture.matches("out/grad_global_norm", metrics.gradientNorm)
    const gradients = new Map(Eager.leaves(next.first))
    for (const path of fixture.keys("grad")) fixture.matches(`grad/${path}`, gradients.get(path)!)
  })

  it.each([0.65, 0.9])("has the official learning rates and decays at a layer decay of %s", (decay) => {
    const groups: ReadonlyArray<{ readonly weight_decay: number; readonly params: ReadonlyArray<string> }> =
      fixture.info[`param_groups_decay${decay}`]
    const scales: Readonly<Record<string, number>> = fixture.info[`scale_per_parameter_decay${decay}`]
    const ours = Eager.leaves(spec)
    const decayed = ours.filter(([path, { shape }]) => WeightDecay.decays("finetune", path, shape.length))
    const official = groups.filter((group) => group.weight_decay > 0).flatMap(({ params }) => params)
    assert.sameMembers(decayed.map(([path]) => path), official)
    assert.sameMembers(ours.map(([path]) => path), Object.keys(scales))
    for (const [path] of ours) {
      assert.closeTo(LayerDecay.scale(path, { decay, depth: sizes.depth }), scales[path]!, 1e-12, path)
    }
  })
})

describe("finetune_meanpool", () => {
  const fixture = Eager.fixture("finetune_meanpool")
  const sizes = variants["finetune_meanpool"]!
  const betas = [0.9, 0.999] as const
  const spec = FinetuneStep.spec(sizes)

  it("takes the official steps", () => {
    const step = FinetuneStep.step(sizes, { size: 8, dropPath: false }, {
      labelSmoothing: 0.1,
      adamw: {
        betas,
        weightDecay: 0.05,
        clipNorm: null,
        decays: (path, rank) => WeightDecay.decays("finetune", path, rank),
        scale: (path) => LayerDecay.scale(path, { decay: 0.65, depth: 4 })
      }
    })
    let state = begin(fixture, spec)
    const norms = [[0, 1], [1, 0]].map((batches, number) => {
      const hyper = AdamW.hyper(number, fixture.info.train_lr_schedule[number], { betas, eps: 1e-8 })
      const given = { ...inputs(fixture, 8, batches), hyper }
      const taken = Eager.train(step, state, given)
      state = taken.state
      return taken.metrics.gradientNorm.data[0]!
    })
    fixture.matches("steps/grad_norms", { data: norms })
    const after = new Map(Eager.leaves(state.parameters))
    for (const path of fixture.keys("state_after_2")) fixture.matches(`state_after_2/${path}`, after.get(path)!)
  })

  it("drops the official paths", () => {
    const uniforms = fixture.numbers("droppath/uniforms")
    const rates: ReadonlyArray<number> = fixture.info.droppath.per_block
    const factors = (call: number, rate: number) =>
      HostTensor.make(
        [4],
        "float32",
        uniforms.slice(4 * call, 4 * call + 4).map((u) => Math.floor(1 - rate + u) / (1 - rate))
      )
    const kept = HostTensor.make([4], "float32", new Float32Array(4).fill(1))
    const dropPath = rates.map((rate, place) =>
      place === 0
        ? { attention: kept, mlp: kept }
        : { attention: factors(2 * place - 2, rate), mlp: factors(2 * place - 1, rate) }
    )
    const { logits } = Eager.eagerly(
      { params: begin(fixture, spec).parameters, pictures: inputs(fixture, 4, [0]).images, dropPath },
      ({ dropPath: drops, params, pictures }: {
        readonly params: Params
        readonly pictures: Tensor<[4, 3, 32, 32]>
        readonly dropPath: ReadonlyArray<Block.DropPath<4>>
      }) => ({
        logits: Classifier.forward(params, pictures, vit.patches, {
          heads: vit.heads,
          index: Vit.relativeIndex({ height: 4, width: 4 }, vit.tokens),
          dropPath: drops
        })
      })
    )
    fixture.matches("droppath/logits", logits)
  })
})

describe("finetune_rect", () => {
  const fixture = Eager.fixture("finetune_rect")
  const spec = Classifier.spec({
    channels: 3,
    patch: 8,
    width: 32,
    hidden: 128,
    heads: 2,
    relativeRows: 48,
    tokens: 16,
    depth: 2,
    classes: 10,
    absolutePositions: true,
    relativePositions: "perBlock",
    pooling: "mean",
    qkvBias: true,
    layerScale: 0,
    headScale: 1,
    regime: Parameter.finetuning
  })
  type Rectangular = Classifier.ClassifierParams<8, 32, 128, 2, 48, 16, 10>

  it("has the official names", () => {
    assert.deepStrictEqual(Eager.names(spec), officialNames(fixture))
  })

  it("has the official logits, loss and gradients", () => {
    const context = { heads: 2, index: Vit.relativeIndex({ height: 3, width: 5 }, 16) } as const
    const found = Eager.eagerly(
      {
        params: Eager.filled<Rectangular>(spec, (path) => fixture.numbers(`state/${path}`)),
        pictures: HostTensor.make([4, 3, 24, 40], "float32", fixture.numbers("input/images_0")),
        classes: HostTensor.make([4], "int32", Int32Array.from(fixture.tensor("input/labels_0").data))
      },
      ({ classes, params, pictures }: {
        readonly params: Rectangular
        readonly pictures: Tensor<[4, 3, 24, 40]>
        readonly classes: Tensor<[4], "int32">
      }) =>
        Gradient.valueAndGradient((given: Rectangular) => {
          const logits = Classifier.forward(given, pictures, 15, context)
          return {
            loss: Loss.crossEntropy(logits, classes, 0.1),
            aux: { logits, tokens: Vit.forward(given, pictures, context) }
          }
        }, params)
    )
    fixture.matches("out/logits", found.aux.logits)
    fixture.matches("out/block_1", found.aux.tokens)
    fixture.matches("out/loss_label_smoothing_0.1", found.loss)
    const gradients = new Map(Eager.leaves(found.gradients))
    for (const path of fixture.keys("grad")) fixture.matches(`grad/${path}`, gradients.get(path)!)
    const { norm } = Eager.eagerly(found, ({ gradients: all }) => ({ norm: Reduction.globalNorm(all) }))
    fixture.matches("out/grad_global_norm", norm)
  })
})
