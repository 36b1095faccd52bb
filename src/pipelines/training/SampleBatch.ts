/**
 * The first images of a batch, in the form in which a run keeps them. They are for those who look at a run while it trains: the
 * images as the network got them, the masked patches, and the codes behind the mask.
 *
 * ```ts
 * import assert from "node:assert"
 * import { SampleBatch } from "patchword/pipelines"
 * import { HostTensor } from "patchword/shapes"
 *
 * const batch = HostTensor.zeros([64, 3, 32, 32], "float32")
 * assert.deepStrictEqual(SampleBatch.images(batch).images?.shape, [SampleBatch.IMAGES, 3, 32, 32])
 * ```
 */
import type { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import type { Tensors } from "../../layers/weights/Weights.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"

/** So many images are kept. */
export const IMAGES = 4

/** A code that is not part of the batch, since its patch is not masked. */
export const NONE = -1

/** Copies the first rows of an array. */
const first = <D extends HostTensor.DType>(
  { data, dtype, shape }: HostTensor.HostTensor<HostTensor.Any["shape"], D>
) => {
  const [length = 0, ...row] = shape
  const count = Math.min(IMAGES, length)
  return HostTensor.make([count, ...row], dtype, data.slice(0, count * HostTensor.size(row)) as HostTensor.DataOf<D>)
}

/**
 * Copies the first images of a batch, `[B, 3, H, W]`. `colours` are the mean and the deviation that they were standardised with, if
 * they were.
 */
export const images = (
  batch: HostTensor.HostTensor<readonly [number, number, number, number], "float32">,
  colours: Pick<AugmentConfig, "mean" | "std"> = { mean: [0, 0, 0], std: [1, 1, 1] }
): Tensors => ({
  images: first(batch),
  mean: HostTensor.make([3], "float32", Float32Array.from(colours.mean)),
  std: HostTensor.make([3], "float32", Float32Array.from(colours.std))
})

/** Copies the masks of the first images, and the codes of their masked patches. The other patches have the code {@link NONE}. */
export const masked = (
  batch: {
    readonly mask: HostTensor.HostTensor<readonly [number, number], "bool">
    readonly rows: HostTensor.HostTensor<readonly [number], "int32">
    readonly labels: HostTensor.HostTensor<readonly [number], "int32">
  },
  grid: Grid
): Tensors => {
  const mask = first(batch.mask)
  const shape = [mask.shape[0]!, grid.height, grid.width] as const
  const truth = new Int32Array(HostTensor.size(shape)).fill(NONE)
  batch.rows.data.forEach((row, i) => {
    if (row < truth.length) truth[row] = batch.labels.data[i]!
  })
  return { mask: HostTensor.make(shape, "bool", mask.data), codes: HostTensor.make(shape, "int32", truth) }
}
