/**
 * The figures that tell whether a codebook and features are healthy: the meaning of each, and its healthy band.
 *
 * ```ts
 * import assert from "node:assert"
 * import { HealthFigure } from "patchword/domain"
 *
 * assert.strictEqual(HealthFigure.isHealthy("usedShare", 0.95), true)
 * assert.strictEqual(HealthFigure.isHealthy("usedShare", 0.02), false)
 * assert.strictEqual(HealthFigure.isHealthy("entropy", 3), undefined)
 * assert.strictEqual(HealthFigure.show("usedShare", 0.953), "95.3 %")
 * ```
 */
import { Schema } from "effect"

/** The figures of a tokenizer. */
export const TOKENIZER = [
  "usedShare",
  "deadCodes",
  "rareShare",
  "topShare",
  "entropy",
  "perplexityShare",
  "churn",
  "stillShare",
  "norm",
  "normSpread",
  "quantizationError",
  "positionShare",
  "positionPerplexity",
  "codebookRank",
  "vectorRank",
  "batchUsage",
  "batchPerplexityShare",
  "cosine",
  "cosineBest",
  "cosineLost",
  "gradientGrowth"
] as const

/** The figures of a pretrained network. */
export const BACKBONE = [
  "tokenSimilarity",
  "tokenSpread",
  "featureRank",
  "lossOverEntropy",
  "accuracy",
  "accuracyOverChance"
] as const

/** The name of a figure. Those of a tokenizer come first, then those of a pretrained network. */
export const Name = Schema.Literals([...TOKENIZER, ...BACKBONE])
export type Name = typeof Name.Type

/** The values between which a figure is healthy. One of the two may be missing. */
export const Band = Schema.Struct({
  least: Schema.optionalKey(Schema.Finite),
  most: Schema.optionalKey(Schema.Finite)
})
export type Band = typeof Band.Type

/** A figure, described. */
export interface HealthFigure {
  readonly title: string
  /** Shares are shown in percent. */
  readonly unit: "share" | "number"
  /** The meaning, in one sentence. */
  readonly meaning: string
  /** The healthy band. Figures without one are shown, but not judged. */
  readonly band?: Band
}

/** The runs that all bands are from. */
export const MEASURED_ON =
  "bands are from ten healthy and twenty ill tokenizers, and three healthy and two ill pretrained networks, trained on emoji for 100 to " +
  "1000 steps (npm run bench -- doctor, and the demo); other data and sizes may have others"

/** All figures. */
export const all: Readonly<Record<Name, HealthFigure>> = {
  usedShare: {
    title: "used codes",
    unit: "share",
    meaning: "The share of the codebook that occurs at all.",
    band: { least: 0.3 }
  },
  deadCodes: { title: "dead codes", unit: "number", meaning: "The number of codes that no patch gets." },
  rareShare: {
    title: "rare codes",
    unit: "share",
    meaning: "The share of codes that occur, but less than a twentieth as often as in even use."
  },
  topShare: {
    title: "most frequent code",
    unit: "share",
    meaning: "The share of patches that the most frequent code gets."
  },
  entropy: {
    title: "entropy of codes",
    unit: "number",
    meaning: "The information of a code in nats, which is the logarithm of the perplexity."
  },
  perplexityShare: {
    title: "perplexity",
    unit: "share",
    meaning: "The number of equally frequent codes that would tell as much, as a share of the codebook.",
    band: { least: 0.12 }
  },
  churn: {
    title: "changed codes",
    unit: "share",
    meaning: "The share of patches whose code changed since the checkpoint before."
  },
  stillShare: {
    title: "codes at rest",
    unit: "share",
    meaning: "The share of codes whose direction did not change since the checkpoint before, because no patch got them."
  },
  norm: {
    title: "length of vectors",
    unit: "number",
    meaning: "The mean length of vectors before they are normalised."
  },
  normSpread: {
    title: "spread of lengths",
    unit: "share",
    meaning: "The standard deviation of the lengths of vectors, as a share of their mean."
  },
  quantizationError: {
    title: "distance to the code",
    unit: "share",
    meaning: "The mean squared distance of vectors to their codes, as a share of the squared length of vectors."
  },
  positionShare: {
    title: "told by the position",
    unit: "share",
    meaning: "The share of what codes tell that the position of a patch tells already.",
    band: { most: 0.5 }
  },
  positionPerplexity: {
    title: "perplexity at a position",
    unit: "number",
    meaning: "The mean perplexity of the codes at one position of the images."
  },
  codebookRank: {
    title: "rank of the codebook",
    unit: "share",
    meaning: "The effective rank of the codes as a share of their channels: how many directions they use."
  },
  vectorRank: {
    title: "rank of vectors",
    unit: "share",
    meaning: "The effective rank of vectors before quantization (RankMe), as a share of their channels."
  },
  batchUsage: { title: "codes of a batch", unit: "number", meaning: "The number of codes in one batch of training." },
  batchPerplexityShare: {
    title: "perplexity of a batch",
    unit: "share",
    meaning: "The perplexity of the codes of one batch, as a share of the most that it could be.",
    band: { least: 0.12 }
  },
  cosine: {
    title: "cosine to the teacher",
    unit: "number",
    meaning: "The cosine similarity of reconstructed and teacher features, over the last steps."
  },
  cosineBest: {
    title: "best cosine",
    unit: "number",
    meaning: "The best cosine similarity to the teacher since the warmup, as a mean of some steps.",
    band: { least: 0.1 }
  },
  cosineLost: {
    title: "lost cosine",
    unit: "number",
    meaning: "The best cosine similarity of the training minus that of its last steps: it fell by so much.",
    band: { most: 0.15 }
  },
  gradientGrowth: {
    title: "growth of gradients",
    unit: "number",
    meaning: "The median norm of gradients in the last fifth of the steps, divided by that of the second fifth.",
    band: { most: 10 }
  },
  tokenSimilarity: {
    title: "similarity of images",
    unit: "number",
    meaning: "The mean cosine similarity of the features of two different images: 1 when all are alike.",
    band: { most: 0.98 }
  },
  tokenSpread: {
    title: "spread of features",
    unit: "number",
    meaning: "The standard deviation of features of unit length, times the root of their width: 0 when all are alike.",
    band: { least: 0.35 }
  },
  featureRank: {
    title: "rank of features",
    unit: "share",
    meaning: "The effective rank of features (RankMe) as a share of the most that it could be.",
    band: { least: 0.05 }
  },
  lossOverEntropy: {
    title: "loss over entropy",
    unit: "share",
    meaning:
      "The loss of the last steps over the entropy of codes: 100 % when the network only knows how frequent codes are.",
    band: { most: 0.98 }
  },
  accuracy: {
    title: "predicted codes",
    unit: "share",
    meaning: "The share of masked codes that the last steps predicted."
  },
  accuracyOverChance: {
    title: "predicted codes over chance",
    unit: "number",
    meaning:
      "The share of predicted codes over that of the most frequent code: 1 when the network always says this one.",
    band: { least: 1.5 }
  }
}

/** Tells whether a value lies in the healthy band; undefined if its figure has none. */
export const isHealthy = (name: Name, value: number): boolean | undefined => {
  const { band } = all[name]
  return band && value >= (band.least ?? -Infinity) && value <= (band.most ?? Infinity)
}

const number = (value: number): string => String(Number(value.toPrecision(3)))

/** Formats a value of a figure: shares in percent, other numbers with three digits. */
export const show = (name: Name, value: number): string =>
  all[name].unit === "share" ? `${number(100 * value)} %` : number(value)

/** Formats the healthy band of a figure, such as `at least 50 %`; undefined if it has none. */
export const showBand = (name: Name): string | undefined => {
  const { band } = all[name]
  if (band === undefined) return undefined
  return [
    ...(band.least === undefined ? [] : [`at least ${show(name, band.least)}`]),
    ...(band.most === undefined ? [] : [`at most ${show(name, band.most)}`])
  ].join(" and ")
}
