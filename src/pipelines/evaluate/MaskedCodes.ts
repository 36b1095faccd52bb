/** A pretrained network on the engine: it predicts the codes of masked patches. */
import { Effect } from "effect"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Backbone from "../trained/Backbone.ts"
import * as Inference from "../trained/Inference.ts"
import type * as Batches from "../training/Batches.ts"
import * as Masking from "../training/Masking.ts"

/** The masks of a batch, and the predictions of the last block. */
export interface MaskedCodes extends Masking.Masked {
  /** The predicted code of each masked patch, `[B·N]`; 0 for the others. */
  readonly predicted: Int32Array
  /** The mean cross entropy over the masked patches of the valid images. */
  readonly loss: number
}

/**
 * Opens a network that masks batches of `batchSize` images, one fixed mask for each index in the set, and predicts the codes of
 * masked patches. It takes the batch and the true codes `[B·N]`. Fails with `ConfigError` and `MaskError` as `pretrain` does,
 * and as the engine does.
 */
export const open = Effect.fnUntraced(function*(backbone: Backbone.Backbone, batchSize: number) {
  const { mask, masking, seed, vit: { patches } } = backbone.config
  const { mask: drawn } = yield* Masking.of(backbone.config, backbone.mask)
  const inference = PretrainStep.predict(Backbone.sizes(backbone.config, backbone.codes), {
    size: Dim.named("batch", batchSize),
    masked: Dim.named("masked", batchSize * mask.count)
  })
  const handle = yield* Inference.open(inference, Backbone.weights(backbone))
  const { images: imageSpec, labels: rowSpec, mask: maskSpec } = inference.batch
  return Effect.fnUntraced(function*(
    images: Pick<Batches.EvaluationBatch, "indices" | "normalised" | "valid">,
    truth: ArrayLike<number>
  ) {
    const { indices, normalised, valid } = images
    const keys = indices.map((index) => ({ seed, purpose: "evaluation/mask", epoch: 0, index }))
    const hidden = yield* Effect.fromResult(Masking.draw(drawn, masking, keys))
    const { loss, predicted } = yield* handle.run({
      images: HostTensor.make(imageSpec.shape, "float32", normalised.data),
      mask: HostTensor.make(maskSpec.shape, "bool", hidden.mask),
      rows: HostTensor.make(rowSpec.shape, "int32", hidden.rows),
      labels: HostTensor.make(
        rowSpec.shape,
        "int32",
        hidden.rows.map((row) => (row < valid * patches ? truth[row]! : PretrainStep.UNCOUNTED))
      )
    })
    const all = new Int32Array(truth.length)
    hidden.rows.forEach((row, i) => (all[row] = predicted.data[i]!))
    const found: MaskedCodes = { ...hidden, predicted: all, loss: HostTensor.item(loss) * batchSize / valid }
    return found
  })
})
