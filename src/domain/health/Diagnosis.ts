/**
 * The diagnosis of a stage: figures and configuration to findings. Each finding names a cause and what to change. Findings are in the order of
 * causes, so the first one is to be cured first.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Diagnosis, Presets } from "patchword/domain"
 *
 * const { tokenizer } = Presets.tiny
 * const healthy = { usedShare: 0.95, perplexityShare: 0.7 }
 * assert.deepStrictEqual(Diagnosis.ofTokenizer(tokenizer, healthy), [])
 * const [first] = Diagnosis.ofTokenizer(tokenizer, { ...healthy, usedShare: 0.02, perplexityShare: 0.01 })
 * assert.strictEqual(first?.illness, "collapse")
 * ```
 */
import { Schema } from "effect"
import type { PretrainConfig } from "../config/PretrainConfig.ts"
import type { TokenizerConfig } from "../config/TokenizerConfig.ts"
import * as HealthFigure from "./HealthFigure.ts"

/** The names of illnesses, each with its cause. Those that begin with `collapse` are a codebook of which few codes are used. */
export const Illness = Schema.Literals([
  "collapseWithoutNormalisation",
  "collapseOfTinyBatch",
  "collapseWithoutKmeans",
  "collapseOfUnstableTraining",
  "collapseWithoutRevival",
  "collapse",
  "positions",
  "unstable",
  "learnedNothing",
  "collapsedFeatures",
  "lowRank",
  "guessing"
])
export type Illness = typeof Illness.Type

/** A finding: what is wrong, why, how it shows, and what to change. */
export const Finding = Schema.Struct({
  illness: Illness,
  /** The problem, in a few words. */
  title: Schema.String,
  /** The likely cause, in a sentence or two. */
  cause: Schema.String,
  /** Figures and settings that show it, each in a few words. */
  evidence: Schema.Array(Schema.String),
  /** Changes that help, the most helpful one first. */
  change: Schema.Array(Schema.String)
})
export type Finding = typeof Finding.Type

/** The figures that were measured. Any may be missing. */
export type Figures = Readonly<Partial<Record<HealthFigure.Name, number>>>

/** Returns the figures among some names that were measured and lie outside of their bands. */
const outside = (figures: Figures, names: ReadonlyArray<HealthFigure.Name>): ReadonlyArray<HealthFigure.Name> =>
  names.filter((name) => {
    const value = figures[name]
    return value !== undefined && HealthFigure.isHealthy(name, value) === false
  })

const told = (figures: Figures, names: ReadonlyArray<HealthFigure.Name>): ReadonlyArray<string> =>
  names.map((name) =>
    `${HealthFigure.all[name].title}: ${HealthFigure.show(name, figures[name]!)}, healthy is ${HealthFigure.showBand(
      name
    )!}`
  )

/** A batch is tiny if it has fewer vectors than this for each code. The published recipe has 12, and the demo 9. */
export const FEW_VECTORS = 2

/** Returns the vectors of one step for each code of the codebook. */
export const vectorsPerCode = (config: TokenizerConfig): number =>
  config.optimizer.batchSize * config.encoder.patches / config.codebook.size

/** The figures that show a collapsed codebook. Those over many images come first, since single batches have fewer patches. */
const COLLAPSE = ["usedShare", "perplexityShare", "batchPerplexityShare"] as const

/** The figure that shows a tokenizer that has learned nothing of its teacher. */
const LEARNED = ["cosineBest"] as const

/** A learning rate below this one is lower than any usual one. The published ones are 2e-4 and 1.5e-3. */
const LOW_RATE = 2e-5

const UNSTABLE = ["cosineLost", "gradientGrowth"] as const

/** A possible cause, and whether it applies. */
type Cause = readonly [applies: boolean, finding: Finding]

const causesOf = (config: TokenizerConfig, figures: Figures): ReadonlyArray<Cause> => {
  const { codebook, optimizer } = config
  const { quantizer } = codebook
  const shown = told(figures, outside(figures, COLLAPSE))
  const each = vectorsPerCode(config)
  const few = each < FEW_VECTORS
  const batch = `vectors of a step for each code: ${
    Number(each.toPrecision(2))
  } (optimizer.batchSize ${optimizer.batchSize})`
  const title = "most of the codebook is not used"
  const larger = Math.ceil(optimizer.batchSize * FEW_VECTORS * 4 / each)
  const moreImages = `raise optimizer.batchSize, to about ${larger}, or make codebook.size smaller`
  const kmeans = "codebook.kmeans: true, so that codes begin where vectors are"
  const revival = "codebook.revival: { threshold: 0.02 }, which moves codes that nobody uses to vectors of the batch"
  const isMovingAverage = quantizer === undefined || quantizer.kind === "movingAverage"
  const canRevive = isMovingAverage && codebook.revival === null
  const isLearned = isMovingAverage || quantizer?.kind === "gradient"
  const isPlain = quantizer?.kind === "gradient" && quantizer.l2Normalize === false
  // A codebook whose network learns nothing at a usual rate or a higher one cannot follow.
  const unstable = outside(figures, optimizer.lr < LOW_RATE ? UNSTABLE : [...LEARNED, ...UNSTABLE])
  return [
    [isPlain, {
      illness: "collapseWithoutNormalisation",
      title,
      cause:
        "Vectors and codes are not l2-normalised. A few codes with a fitting length are the nearest for all vectors, and only " +
        "these learn.",
      evidence: [...shown, "codebook.quantizer.l2Normalize: false"],
      change: [
        "leave out l2Normalize: false, or take the quantizer of the published method (codebook.quantizer: { kind: \"movingAverage\" })",
        "then codebook.kmeans: true"
      ]
    }],
    [!isPlain && isLearned && few, {
      illness: "collapseOfTinyBatch",
      title,
      cause: codebook.kmeans
        ? "A batch has fewer vectors than the codebook has codes to fill. Most codes get none, and do not learn."
        : "A batch has fewer vectors than the codebook has codes to fill, and k-means is off. Codes begin as random directions, far " +
          "from all vectors. The few codes that the first batches reach are then always the nearest.",
      evidence: [...shown, batch, ...(codebook.kmeans ? [] : ["codebook.kmeans: false"])],
      change: [moreImages, ...(codebook.kmeans ? [] : [kmeans]), ...(canRevive ? [revival] : [])]
    }],
    [!isPlain && isLearned && !few && !codebook.kmeans, {
      illness: "collapseWithoutKmeans",
      title,
      cause:
        "k-means is off. Codes begin as random directions, far from all vectors. The few codes that are the nearest at the " +
        "start are so for ever.",
      evidence: [...shown, "codebook.kmeans: false"],
      change: [kmeans, ...(canRevive ? [revival] : [])]
    }],
    [unstable.length > 0, {
      illness: "collapseOfUnstableTraining",
      title,
      cause: "The training is not stable. Vectors move faster than codes can follow.",
      evidence: [...shown, ...told(figures, unstable), `optimizer.lr: ${optimizer.lr}`],
      change: [
        otherRate(optimizer.lr, 0.0002),
        "optimizer.clipNorm: 3 limits single large gradients"
      ]
    }],
    [!isPlain && canRevive, {
      illness: "collapseWithoutRevival",
      title,
      cause: "No code is revived. A code that loses its last vector has no way back.",
      evidence: [...shown, "codebook.revival: null"],
      change: [revival, ...(few ? [] : [moreImages])]
    }],
    [true, {
      illness: "collapse",
      title,
      cause:
        "The settings show no usual cause. Patches may differ too little, or the codebook may be too large for these images.",
      evidence: shown,
      change: [
        ...(codebook.revival === null
          ? []
          : [
            `raise codebook.revival.threshold above ${codebook.revival.threshold}, so that rare codes are revived sooner`
          ]),
        "make codebook.size smaller",
        `make optimizer.lr smaller than ${optimizer.lr}`,
        "look at the images and at the teacher's features: are there as many different patches as codes?"
      ]
    }]
  ]
}

/** Makes one finding of several causes of the same illness. The first one names it. */
const merged = (causes: ReadonlyArray<Finding>): Finding => ({
  ...causes[0]!,
  cause: causes.map(({ cause }) => cause).join(" "),
  evidence: [...new Set(causes.flatMap(({ evidence }) => evidence))],
  change: [...new Set(causes.flatMap(({ change }) => change))]
})

/** Says which way to change a learning rate with which nothing was learned. */
const otherRate = (lr: number, usual: number): string =>
  lr < LOW_RATE
    ? `make optimizer.lr larger: ${usual} is usual`
    : `make optimizer.lr smaller, for example ${
      Number(Math.min(lr / 4, Math.max(usual, lr / 100)).toPrecision(2))
    }, or ` +
      "optimizer.warmup longer"

/** Finds what is wrong with a tokenizer. The root cause is first; an empty list means that nothing is. */
export const ofTokenizer = (config: TokenizerConfig, figures: Figures): ReadonlyArray<Finding> => {
  const found: Array<Finding> = []
  if (outside(figures, COLLAPSE).length > 0) {
    const causes = causesOf(config, figures).filter(([applies]) => applies).map(([, finding]) => finding)
    // The last one is for codebooks of which no other cause is known.
    found.push(merged(causes.length > 1 ? causes.slice(0, -1) : causes))
  }
  const unstable = outside(figures, UNSTABLE)
  if (unstable.length > 0 && !found.some(({ illness }) => illness === "collapseOfUnstableTraining")) {
    found.push({
      illness: "unstable",
      title: "the training is not stable",
      cause: "The learning rate is too high for this network and batch, or it rises too fast.",
      evidence: [...told(figures, unstable), `optimizer.lr: ${config.optimizer.lr}`],
      change: [
        `make optimizer.lr smaller, for example ${config.optimizer.lr / 4}`,
        "make optimizer.warmup longer",
        "optimizer.clipNorm: 3 limits single large gradients"
      ]
    })
  }
  const nothing = outside(figures, LEARNED)
  if (nothing.length > 0 && found.every(({ illness }) => illness !== "collapseOfUnstableTraining")) {
    const { lr } = config.optimizer
    found.push({
      illness: "learnedNothing",
      title: "the tokenizer has learned nothing of its teacher",
      cause: lr < LOW_RATE
        ? "The learning rate is too low."
        : "The learning rate is too high or too low for this network and batch.",
      evidence: [...told(figures, nothing), `optimizer.lr: ${lr}`],
      change: [otherRate(lr, 0.0002), "train for more steps (optimizer.duration)"]
    })
  }
  const positions = outside(figures, ["positionShare"])
  if (positions.length > 0) {
    found.push({
      illness: "positions",
      title: "codes tell where a patch lies, not what it shows",
      cause: "The images are alike at each position, or the encoder passes little but its position embeddings on.",
      evidence: told(figures, positions),
      change: [
        "use crops of more sizes and places (augment.cropScale)",
        "look at the images: do they have borders, or one layout?",
        `make optimizer.lr smaller than ${config.optimizer.lr}`
      ]
    })
  }
  return found
}

/** The published share of masked patches. */
const MASKED = 0.4

/** Finds what is wrong with a pretrained network. The root cause is first; an empty list means that nothing is. */
export const ofBackbone = (config: PretrainConfig, figures: Figures): ReadonlyArray<Finding> => {
  const { aggregation, mask, optimizer, vit } = config
  const found: Array<Finding> = []
  const rate = [
    otherRate(optimizer.lr, 0.0015),
    "train for more steps (optimizer.duration)"
  ]
  const most = Math.ceil(MASKED * vit.patches)
  const isTooMuch = mask.count > most
  const guessing = outside(figures, ["lossOverEntropy", "accuracyOverChance"])
  if (guessing.length > 0) {
    found.push({
      illness: "guessing",
      title: "the network only knows how frequent codes are",
      cause: `It has not learned from the visible patches yet: the learning rate is too low or too high, ${
        isTooMuch ? "the training is too short, or too much is masked" : "or the training is too short"
      }.`,
      evidence: [
        ...told(figures, guessing),
        `optimizer.lr: ${optimizer.lr}`,
        ...(isTooMuch ? [`mask.count: ${mask.count} of ${vit.patches}`] : [])
      ],
      change: [...rate, ...(isTooMuch ? [`mask.count: at most ${most}, about 40 % of the patches, as published`] : [])]
    })
  }
  const alike = outside(figures, ["tokenSimilarity", "tokenSpread"])
  const low = outside(figures, ["featureRank"])
  if (alike.length > 0) {
    found.push({
      illness: "collapsedFeatures",
      title: "all images have nearly the same feature",
      cause: aggregation === null
        ? "Nothing that tells images apart reaches the features. The network has hardly learned."
        : "The class token does not tell images apart. The network has hardly learned, or its aggregation head predicts codes without it.",
      evidence: told(figures, [...alike, ...low]),
      change: [
        ...rate,
        ...(aggregation === null
          ? ["turn on patch aggregation (aggregation)"]
          : [
            `take an earlier block for the head (aggregation.earlyLayer, now ${aggregation.earlyLayer} of ${vit.depth})`
          ])
      ]
    })
  }
  if (low.length > 0 && alike.length === 0) {
    found.push({
      illness: "lowRank",
      title: "features use few directions",
      cause: "The network tells images apart by a few properties only, such as colour.",
      evidence: told(figures, low),
      change: ["look at the tokenizer first: few codes make few directions", ...rate]
    })
  }
  return found
}
