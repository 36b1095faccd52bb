import * as Keyed from "../../src/domain/Keyed.ts"
import * as AdamW from "../../src/nn/AdamW.ts"
import * as FinetuneStep from "../../src/nn/FinetuneStep.ts"
import * as PretrainStep from "../../src/nn/PretrainStep.ts"
import * as TokenizerStep from "../../src/nn/TokenizerStep.ts"
import * as Vit from "../../src/nn/Vit.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"

const betas = [0.9, 0.98] as const

const adamw: AdamW.Options = { betas, weightDecay: 0.05, clipNorm: 1, decays: (_, rank) => rank > 1 }

const vit = Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 })

const network = {
  vit,
  hidden: 12,
  relativeRows: 12,
  depth: 2,
  absolutePositions: false,
  qkvBias: true,
  layerScale: 0.1
} as const

const tokenizer = TokenizerStep.step(
  { vit, hidden: 12, depth: 1, decoderDepth: 1, qkvBias: true, codes: 5, codeWidth: 3, teacherWidth: 4 },
  3,
  { decay: 0.9, revival: { threshold: 0.5 }, adamw }
)

const pretrain = PretrainStep.step(
  {
    ...network,
    initStd: 0.02,
    relativePositions: "shared",
    codes: 5,
    aggregation: { earlyLayer: 1, headDepth: 1, sharedHead: true }
  },
  { size: 3, masked: 6, dropPath: true },
  adamw
)

const plain = PretrainStep.step(
  { ...network, initStd: 0.02, relativePositions: "perBlock", codes: 5, aggregation: null },
  { size: 3, masked: 6, dropPath: false },
  { ...adamw, clipNorm: null }
)

const finetune = FinetuneStep.step(
  { ...network, relativePositions: "perBlock", pooling: "mean", headScale: 1, classes: 5 },
  { size: 3, dropPath: true },
  { adamw: { ...adamw, scale: (path) => (path.startsWith("blocks") ? 0.5 : 1) }, labelSmoothing: 0.1 }
)

type Values = Float32Array | Int32Array | Uint8Array

const draw = (leaf: Tree.Leaf, path: string, seed: number): Values => {
  const { integer, normal } = Keyed.generator({ seed, purpose: path, epoch: 0, index: 0 })
  const length = HostTensor.size(leaf.shape)
  if (leaf.dtype === "bool") return Uint8Array.from({ length }, (_, at) => (at % 2))
  if (path === "rows") return Int32Array.from({ length }, (_, at) => 2 * at + 1)
  if (leaf.dtype === "int32") return Int32Array.from({ length }, () => integer(0, 4))
  if (/^second|cluster_size|dropPath/.test(path)) return Float32Array.from({ length }, () => normal() ** 2)
  return Float32Array.from({ length }, () => 0.3 * normal())
}

const drawn = <T>(spec: object, seed: number): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, (leaf, path) => ({ ...leaf, data: draw(leaf, path, seed) }))

const caseOf = <S, B extends { readonly hyper: AdamW.Hyper }, M>(step: TrainStep<S, B, M>) => ({
  step,
  state: (seed: number): HostOf<S> => drawn<S>(step.state as object, seed),
  batch: (seed: number): HostOf<B> => ({
    ...drawn<B>(step.batch, seed),
    hyper: AdamW.hyper(3, 1e-2, { betas, eps: 1e-8 })
  })
})

export const cases = {
  tokenizer: caseOf(tokenizer),
  pretrain: caseOf(pretrain),
  plain: caseOf(plain),
  finetune: caseOf(finetune)
}
