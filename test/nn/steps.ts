import * as RelativePosition from "../../src/domain/method/RelativePosition.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as PatchGrid from "../../src/nn/blocks/PatchGrid.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import * as DecoderStep from "../../src/nn/decoder/DecoderStep.ts"
import * as Perception from "../../src/nn/decoder/Perception.ts"
import * as FinetuneStep from "../../src/nn/finetune/FinetuneStep.ts"
import * as AdamW from "../../src/nn/optimizer/AdamW.ts"
import * as PretrainStep from "../../src/nn/pretrain/PretrainStep.ts"
import * as LinearHead from "../../src/nn/segmentation/LinearHead.ts"
import * as SegmentStep from "../../src/nn/segmentation/SegmentStep.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import * as TokenizerStep from "../../src/nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"

const betas = [0.9, 0.98] as const

const options: AdamW.Options = { betas, weightDecay: 0.05, clipNorm: 1, decays: (_, rank) => rank > 1 }

export interface Sizes {
  readonly image: number
  readonly batch: number
  readonly accumulate?: number
  readonly small?: boolean
}

const stepsOf = ({ accumulate = 1, batch, image, small = false }: Sizes) => {
  const adamw = { ...options, accumulate }
  const side = Dim.named("image", image)
  const size = Dim.named("batch", batch)
  const vit = Vit.dims({ image: side, patch: Dim.named("patch", 8), width: Dim.named("width", 8), heads: 2 })
  const hidden = 12
  const relativeRows = Dim.named("relativeRows", RelativePosition.rows(PatchGrid.grid(vit)))
  const masked = Dim.named("masked", Math.max(1, Math.floor((batch * vit.patches) / 2)))
  const network = {
    ...vit,
    hidden,
    relativeRows,
    depth: small ? 1 : 2,
    absolutePositions: false,
    qkvBias: !small,
    layerScale: small ? 0 : 0.1
  } as const
  return {
    tokenizer: TokenizerStep.step(
      { ...vit, hidden, depth: 1, decoderDepth: 1, qkvBias: !small, codes: 5, codeWidth: 3, teacherWidth: 4 },
      size,
      {
        quantizer: MovingAverage.make({
          codes: 5,
          codeWidth: 3,
          decay: 0.9,
          kmeans: true,
          revival: { threshold: 0.5 }
        }),
        adamw
      }
    ),
    pretrain: PretrainStep.step(
      {
        ...network,
        initStd: 0.02,
        relativePositions: "shared",
        codes: 5,
        aggregation: { earlyLayer: 1, headDepth: 1, sharedHead: true }
      },
      { size, masked, dropPath: true },
      adamw
    ),
    plain: PretrainStep.step(
      { ...network, initStd: 0.02, relativePositions: "perBlock", codes: 5, aggregation: null },
      { size, masked, dropPath: false },
      { ...adamw, clipNorm: null }
    ),
    finetune: FinetuneStep.step(
      { ...network, relativePositions: "perBlock", pooling: "mean", headScale: 1, classes: 5 },
      { size, dropPath: true, mixed: false },
      { adamw: { ...adamw, scale: (path) => (path.startsWith("blocks") ? 0.5 : 1) }, labelSmoothing: 0.1 }
    ),
    segment: SegmentStep.step(
      { ...network, relativePositions: "perBlock", taps: [1, 1, 1, network.depth], classes: 5 },
      { size, dropPath: true, dropout: false },
      { head: LinearHead.make({ width: vit.width, classes: 5 }), adamw }
    ),
    decoder: DecoderStep.step({ ...vit, hidden, depth: 1, codes: 5, codeWidth: 3 }, size, {
      adamw,
      channels: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
      perceptual: {
        factor: 0.5,
        perception: Perception.ofTokenizer(
          { ...vit, hidden, depth: 1, decoderDepth: 1, qkvBias: true, codes: 5, codeWidth: 3, teacherWidth: 4 }
        )
      }
    })
  }
}

type Values = Float32Array | Int32Array | Uint8Array

const draw = (leaf: Tree.Leaf, path: string, seed: number, patches: number): Values => {
  const { integer, normal } = KeyedRandom.generator({ seed, purpose: path, epoch: 0, index: 0 })
  const length = HostTensor.size(leaf.shape)
  if (leaf.dtype === "bool") return Uint8Array.from({ length }, (_, at) => (at % 2))
  if (path === "rows") return Int32Array.from({ length }, (_, at) => (2 * at + 1) % patches)
  if (path === "revive") return Int32Array.from({ length }, () => integer(0, Math.min(4, patches - 1)))
  if (leaf.dtype === "int32") return Int32Array.from({ length }, () => integer(0, 4))
  if (/^second|cluster_size|dropPath/.test(path)) return Float32Array.from({ length }, () => normal() ** 2)
  return Float32Array.from({ length }, () => 0.3 * normal())
}

const drawn = <T>(spec: object, seed: number, patches: number): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, (leaf, path) => ({ ...leaf, data: draw(leaf, path, seed, patches) }))

const caseOf = <S, B extends { readonly hyper: AdamW.Hyper }, M>(
  step: TrainStep<S, B, M>,
  patches: number,
  accumulate?: number
) => ({
  step,
  state: (seed: number): HostOf<S> => drawn<S>(step.state as object, seed, patches),
  batch: (seed: number, number = 3): HostOf<B> => ({
    ...drawn<B>(step.batch, seed, patches),
    hyper: AdamW.hyper(number, 1e-2, { betas, eps: 1e-8, accumulate })
  })
})

export const casesOf = (sizes: Sizes) => {
  const { decoder, finetune, plain, pretrain, segment, tokenizer } = stepsOf(sizes)
  const patches = sizes.batch * (sizes.image / 8) ** 2
  return {
    tokenizer: caseOf(tokenizer, patches, sizes.accumulate),
    pretrain: caseOf(pretrain, patches, sizes.accumulate),
    plain: caseOf(plain, patches, sizes.accumulate),
    finetune: caseOf(finetune, patches, sizes.accumulate),
    segment: caseOf(segment, patches, sizes.accumulate),
    decoder: caseOf(decoder, patches, sizes.accumulate)
  }
}

export const cases = casesOf({ image: 16, batch: 3 })
