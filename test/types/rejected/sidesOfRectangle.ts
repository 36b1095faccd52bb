// error: Type '[4, 3, 40, 24]' is not assignable to type '[4, 3, 24, 40]'
// compile time only
import * as Vit from "../../../src/nn/blocks/Vit.ts"
import * as FinetuneStep from "../../../src/nn/finetune/FinetuneStep.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import type { HostOf, Inference } from "../../../src/shapes/Step.ts"

const vit = Vit.dims({ image: [24, 40], patch: 8, width: 32, heads: 2 })
const logits = FinetuneStep.logits({
  ...vit,
  hidden: 128,
  relativeRows: 48,
  depth: 2,
  absolutePositions: true,
  relativePositions: "perBlock",
  qkvBias: true,
  layerScale: 0,
  pooling: "mean",
  headScale: 1,
  classes: 10
}, 4)
const given = <W, B, O>(_: Inference<W, B, O>, batch: HostOf<B>): HostOf<B> => batch
given(logits, { images: HostTensor.zeros([4, 3, 40, 24], "float32") })
