/** The training steps that benchmarks run: pretraining of a preset, with random weights and data. */
import type { Preset } from "../src/domain/Preset.ts"
import * as WeightDecay from "../src/domain/WeightDecay.ts"
import * as AdamW from "../src/nn/AdamW.ts"
import * as Parameter from "../src/nn/Parameter.ts"
import * as PretrainStep from "../src/nn/PretrainStep.ts"
import * as Masking from "../src/pipelines/Masking.ts"
import * as Sizes from "../src/pipelines/Sizes.ts"
import * as Dim from "../src/shapes/Dim.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"

/** A preset's pretraining step at a batch size, its first state, and one batch. */
export const pretraining = (preset: Preset, batchSize: number) => {
  const { mask, masking, optimizer } = preset.pretrain
  const codes = preset.tokenizer.codebook.size
  const sizes = Sizes.backbone(preset.pretrain, codes)
  const masked = Dim.named("masked", batchSize * mask.count)
  const step = PretrainStep.step(sizes, { size: Dim.named("batch", batchSize), masked, dropPath: false }, {
    betas: optimizer.betas,
    weightDecay: optimizer.weightDecay,
    clipNorm: optimizer.clipNorm,
    decays: (name, rank) => WeightDecay.decays("pretrain", name, rank)
  })
  const spec = PretrainStep.spec(sizes)
  const state = () => ({
    parameters: Parameter.initialise(spec, 0),
    first: Parameter.zerosLike(spec),
    second: Parameter.zerosLike(spec)
  })
  const hidden = Masking.draw(
    masking,
    Array.from({ length: batchSize }, (_, index) => ({ seed: 0, purpose: "mask", epoch: 0, index }))
  )
  const { shape } = step.batch.images
  const batch = {
    images: HostTensor.make(
      shape,
      "float32",
      Float32Array.from({ length: HostTensor.size(shape) }, (_, i) => Math.sin(i))
    ),
    mask: HostTensor.make(step.batch.mask.shape, "bool", hidden.mask),
    rows: HostTensor.make([masked], "int32", hidden.rows),
    labels: HostTensor.make([masked], "int32", hidden.rows.map((row) => row % codes)),
    hyper: AdamW.hyper(0, optimizer.lr, optimizer)
  }
  return { step, state, batch }
}
