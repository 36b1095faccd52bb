/** The expected results of the demo, which runs the `tiny` preset on emoji. */
import type { Band, Expectation } from "./Report.ts"

/**
 * The expected figures of the `tiny` preset on the emoji of the demo. Each of the seeds that were tried reached them, with a margin
 * for other seeds and other orders of summation. Nothing is expected of the probe on the other styles: in the mean of the seeds it
 * gains nothing there, and one standard deviation of a single accuracy is three points.
 */
export const figures: ReadonlyArray<Expectation> = [
  { figure: "tokenizer.cosine", atLeast: 0.49 },
  { figure: "tokenizer.usage", atLeast: 200 },
  { figure: "pretrain.maskedAccuracy", atLeast: 0.14 },
  { figure: "probe.pretrained", above: "probe.random", by: 0.03 },
  { figure: "knn.pretrained", above: "knn.random", by: 0 },
  { figure: "finetune.pretrained", above: "finetune.random", by: 0.03 },
  { figure: "rendition.3d.knn.pretrained", above: "rendition.3d.knn.random", by: 0 },
  { figure: "rendition.3d.finetune.pretrained", above: "rendition.3d.finetune.random", by: 0 },
  { figure: "seconds", atMost: 480 }
]

const band = (
  stage: string,
  metric: string,
  margin: number,
  means: ReadonlyArray<readonly [number, number]>
): Band => ({
  stage,
  metric,
  points: means.map(([step, mean]) => ({ step, low: Math.max(0, mean - margin), high: mean + margin }))
})

/** The expected ranges of the smoothed training curves: the mean of the seeds 0 and 1, with a margin for other seeds. */
export const curves: ReadonlyArray<Band> = [
  band("tokenizer", "loss", 0.03, [[25, 0.685], [50, 0.635], [100, 0.58], [150, 0.545], [200, 0.52], [300, 0.495]]),
  band("tokenizer", "cosine", 0.03, [[25, 0.33], [50, 0.373], [100, 0.427], [150, 0.463], [200, 0.489], [300, 0.51]]),
  band("tokenizer", "usage", 25, [[25, 99], [50, 110], [100, 151], [200, 196], [300, 219]]),
  band("tokenizer", "perplexity", 20, [[25, 47], [50, 60], [100, 90], [200, 126], [300, 156]]),
  band("pretrain", "loss_1", 0.15, [
    [50, 4.82],
    [100, 4.6],
    [200, 4.32],
    [300, 4.1],
    [400, 3.99],
    [500, 3.85],
    [600, 3.8]
  ]),
  band("pretrain", "accuracy_1", 0.025, [
    [50, 0.061],
    [100, 0.082],
    [200, 0.112],
    [300, 0.144],
    [400, 0.151],
    [500, 0.17],
    [600, 0.182]
  ])
]
