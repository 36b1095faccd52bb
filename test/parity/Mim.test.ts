import { assert, describe, it } from "@effect/vitest"
import * as WeightDecay from "../../src/domain/WeightDecay.ts"
import * as AdamW from "../../src/nn/AdamW.ts"
import * as Block from "../../src/nn/Block.ts"
import * as Mim from "../../src/nn/Mim.ts"
import * as Parameter from "../../src/nn/Parameter.ts"
import * as PretrainStep from "../../src/nn/PretrainStep.ts"
import * as Vit from "../../src/nn/Vit.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Normalization from "../../src/shapes/Normalization.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Tokens from "../../src/shapes/Tokens.ts"
import * as Eager from "./eager.ts"

const vit = Vit.dims({ image: 32, patch: 8, width: 32, heads: 2 })

type Sizes = PretrainStep.Sizes<32, 32, 8, 32, 128, 2, 52, 64>
type Params = PretrainStep.Params<32, 32, 8, 32, 128, 2, 52, 64>
type State = AdamW.State<Params>

const common = {
  vit,
  hidden: 128,
  relativeRows: 52,
  codes: 64,
  qkvBias: true,
  absolutePositions: false,
  layerScale: 0.1,
  initStd: 0.02,
  aggregation: null
} as const

const variants: Readonly<Record<string, Sizes>> = {
  mim_cls_shared: {
    ...common,
    depth: 4,
    relativePositions: "shared",
    aggregation: { earlyLayer: 2, headDepth: 2, sharedHead: true }
  },
  mim_cls_separate_head: {
    ...common,
    depth: 2,
    layerScale: 1e-5,
    absolutePositions: true,
    relativePositions: "perBlock",
    aggregation: { earlyLayer: 1, headDepth: 1, sharedHead: false }
  },
  mim_plain_abs: {
    ...common,
    depth: 1,
    layerScale: 0,
    qkvBias: false,
    absolutePositions: true,
    relativePositions: "none"
  },
  mim_plain_perblock: { ...common, depth: 1, relativePositions: "perBlock" }
}

const table = { relative_position_bias_table: Parameter.zeros([52, 2]) }

const specOf = (name: string): Parameter.ParametersOf<Params> => {
  const spec = PretrainStep.spec(variants[name]!)
  return name === "mim_plain_perblock" ? { ...spec, rel_pos_bias: table } : spec
}

const masked = (mask: ArrayLike<number>): ReadonlyArray<number> =>
  Array.from(mask, (is, row) => (is === 0 ? -1 : row)).filter((row) => row >= 0)

const inputs = ({ numbers, tensor }: Eager.Fixture, batch: number) => {
  const mask = tensor(`input/mask_${batch}`).data
  const codes = tensor(`input/ids_${batch}`).data
  const rows = masked(mask)
  return {
    images: HostTensor.make([4, 3, 32, 32], "float32", numbers(`input/samples_${batch}`)),
    mask: HostTensor.make([4, 16], "bool", Uint8Array.from(mask)),
    rows: HostTensor.make([24], "int32", Int32Array.from(rows)),
    labels: HostTensor.make([24], "int32", Int32Array.from(rows, (row) => codes[row]!))
  }
}

const begin = (fixture: Eager.Fixture, spec: object): HostOf<State> =>
  Eager.filled<State>({ parameters: spec, first: spec, second: spec }, (path) => {
    const [group, ...name] = path.split(".")
    const values = fixture.numbers(`state/${name.join(".")}`)
    return group === "parameters" ? values : values.map(() => 0)
  })

const plain: AdamW.Options = { betas: [0, 0.98], weightDecay: 0, clipNorm: null, decays: () => false }

describe.each(Object.keys(variants))("%s", (name) => {
  const sizes = variants[name]!
  const fixture = Eager.fixture(name)
  const spec = specOf(name)
  const parameters = Eager.filled<Params>(spec, (path) => fixture.numbers(`state/${path}`))
  const context = {
    heads: vit.heads,
    index: Vit.relativeIndex({ height: 4, width: 4 }, vit.tokens),
    earlyLayer: sizes.aggregation?.earlyLayer ?? sizes.depth
  }

  it("has the official names", () => {
    const official = fixture.keys("state").filter((key) => !key.endsWith("relative_position_index"))
    assert.deepStrictEqual(Eager.names(spec), official)
  })

  it("has the official tokens and logits", () => {
    const { images, labels, mask, rows } = inputs(fixture, 0)
    assert.deepStrictEqual([...labels.data], [...fixture.tensor("out/labels_masked").data])
    const shown = HostTensor.zeros([4, 16], "bool")
    const all = HostTensor.make([64], "int32", Int32Array.from({ length: 64 }, (_, row) => row))
    const found = Eager.eagerly(
      { parameters, images, mask, rows, shown, all },
      (given: {
        readonly parameters: Params
        readonly images: Tensor<[4, 3, 32, 32]>
        readonly mask: Tensor<[4, 16], "bool">
        readonly rows: Tensor<[24], "int32">
        readonly shown: Tensor<[4, 16], "bool">
        readonly all: Tensor<[64], "int32">
      }) => {
        const hidden = Mim.hidden(given.parameters, given.images, given.mask, context)
        const embedded = Tokens.replaceMasked(
          Tokens.patchEmbed(given.images, given.parameters.patch_embed.proj),
          given.mask,
          given.parameters.mask_token
        )
        const { cls_pt_norm: aggregationNorm = given.parameters.norm } = given.parameters
        const tokens = Vit.withClassToken(given.parameters, embedded)
        return {
          logits: Mim.logits(given.parameters, hidden, given.rows),
          normed: {
            last: Normalization.layerNorm(hidden.last, given.parameters.norm, Block.EPSILON),
            aggregated: hidden.aggregated === undefined
              ? undefined
              : Normalization.layerNorm(hidden.aggregated, aggregationNorm, Block.EPSILON)
          },
          unmasked: Mim.logits(
            given.parameters,
            Mim.hidden(given.parameters, given.images, given.shown, context),
            given.all
          ).last,
          blocks: Vit.blocks(given.parameters, tokens, context).map((block) => Tokens.patchTokens(block, vit.patches))
        }
      }
    )
    fixture.matches("out/logits_1", found.logits.last)
    fixture.matches("out/normed_patch_tokens_1", found.normed.last)
    fixture.matches("out/all_token_logits_nomask_1", found.unmasked)
    assert.strictEqual(found.blocks.length, sizes.depth)
    found.blocks.forEach((block, place) => fixture.matches(`out/block_${place}_patch_tokens`, block))
    if (sizes.aggregation === null) {
      assert.isUndefined(found.logits.aggregated)
    } else {
      fixture.matches("out/logits_2", found.logits.aggregated!)
      fixture.matches("out/normed_patch_tokens_2", found.normed.aggregated!)
    }
  })

  it("has the official losses and gradients", () => {
    const step = PretrainStep.step(sizes, { size: 4, masked: 24, dropPath: false }, plain)
    const batch = { ...inputs(fixture, 0), hyper: AdamW.hyper(0, 1e-3, { betas: plain.betas, eps: 1e-8 }) }
    const { metrics, state } = Eager.train(step, begin(fixture, spec), batch)
    const heads = sizes.aggregation === null ? [1] : [1, 2]
    fixture.matches("out/loss", metrics.loss)
    fixture.matches("out/grad_global_norm", metrics.gradientNorm)
    fixture.matches("out/loss_1", metrics.loss_1)
    fixture.matches("out/accuracy_1", metrics.accuracy_1)
    if (heads.includes(2)) {
      fixture.matches("out/loss_2", metrics.loss_2!)
      fixture.matches("out/accuracy_2", metrics.accuracy_2!)
    }
    const gradients = Eager.leaves(state.first)
    assert.sameMembers(gradients.map(([path]) => path), fixture.keys("grad"))
    for (const [path, gradient] of gradients) fixture.matches(`grad/${path}`, gradient)
  })

  it("decays the official parameters", () => {
    const decayed = Eager.leaves(spec).filter(([path, { shape }]) => WeightDecay.decays("pretrain", path, shape.length))
    const groups: ReadonlyArray<{ readonly weight_decay: number; readonly params: ReadonlyArray<string> }> =
      fixture.info.param_groups
    assert.sameMembers(decayed.map(([path]) => path), groups.find((group) => group.weight_decay > 0)!.params.slice())
  })
})

describe("three steps of mim_cls_shared", () => {
  const fixture = Eager.fixture("mim_cls_shared")
  const betas = [0.9, 0.98] as const
  const step = PretrainStep.step(variants["mim_cls_shared"]!, { size: 4, masked: 24, dropPath: false }, {
    betas,
    weightDecay: 0.05,
    clipNorm: fixture.info.clip_grad,
    decays: (path, rank) => WeightDecay.decays("pretrain", path, rank)
  })
  let state = begin(fixture, specOf("mim_cls_shared"))
  const taken = [0, 1, 2].map((number) => {
    const rate = fixture.info.lr_schedule[fixture.info.start_step + number]
    const batch = { ...inputs(fixture, number), hyper: AdamW.hyper(number, rate, { betas, eps: 1e-8 }) }
    const result = Eager.train(step, state, batch)
    state = result.state
    return result
  })

  it("have the official norms and losses", () => {
    const norms = taken.map(({ metrics }) => metrics.gradientNorm.data[0]!)
    assert.isTrue(norms.every((norm) => norm > fixture.info.clip_grad))
    fixture.matches("steps/grad_norms_before_clip", { data: norms })
    const mean = (of: (metrics: (typeof taken)[number]["metrics"]) => HostTensor.Any) =>
      taken.reduce((sum, { metrics }) => sum + of(metrics).data[0]!, 0) / taken.length
    fixture.matches("steps/mean_losses", {
      data: [mean(({ loss_1 }) => loss_1), mean(({ loss_2 }) => loss_2!), mean(({ loss }) => loss)]
    })
    fixture.matches("steps/mean_acc", {
      data: [mean(({ accuracy_1 }) => accuracy_1), mean(({ accuracy_2 }) => accuracy_2!)]
    })
  })

  it("end at the official parameters", () => {
    fixture.matches("steps/lm_head.bias_1", taken[0]!.state.parameters.lm_head.bias)
    fixture.matches("steps/lm_head.bias_2", taken[1]!.state.parameters.lm_head.bias)
    const after = new Map(Eager.leaves(state.parameters))
    for (const path of fixture.keys("state_after_3")) {
      const official = fixture.numbers(`state_after_3/${path}`)
      const unsettled = fixture.unsettled(path)
      const values = Float32Array.from(after.get(path)!.data, (x, at) => unsettled.has(at) ? official[at]! : x)
      fixture.matches(`state_after_3/${path}`, { data: values })
      for (const at of unsettled) assert.closeTo(after.get(path)!.data[at]!, official[at]!, 1.4e-4, path)
    }
  })
})
