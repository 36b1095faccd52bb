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
  { figure: "pretrain.maskedAccuracy", atLeast: 0.13 },
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

/** The expected ranges of the smoothed training curves: those of the default seed, with a margin for other seeds. */
export const curves: ReadonlyArray<Band> = [
  band("tokenizer", "loss", 0.03, [[25, 0.67], [50, 0.62], [100, 0.57], [150, 0.53], [200, 0.505], [300, 0.48]]),
  band("tokenizer", "cosine", 0.03, [[25, 0.34], [50, 0.385], [100, 0.44], [150, 0.48], [200, 0.5], [300, 0.525]]),
  band("tokenizer", "usage", 25, [[25, 111], [50, 115], [100, 165], [200, 211], [300, 229]]),
  band("tokenizer", "perplexity", 20, [[25, 50], [50, 64], [100, 99], [200, 144], [300, 168]]),
  band("pretrain", "loss_1", 0.15, [
    [50, 4.89],
    [100, 4.6],
    [200, 4.31],
    [300, 4.13],
    [400, 3.96],
    [500, 3.84],
    [600, 3.8]
  ]),
  band("pretrain", "accuracy_1", 0.025, [
    [50, 0.049],
    [100, 0.077],
    [200, 0.103],
    [300, 0.122],
    [400, 0.144],
    [500, 0.16],
    [600, 0.169]
  ])
]
