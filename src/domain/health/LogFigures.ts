/**
 * Figures of the last steps of a training, from the rows of its log.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LogFigures } from "patchword/domain"
 *
 * const rows = Array.from({ length: 50 }, (_, i) => ({ usage: 16, perplexity: 8 + i / 50, cosine: i / 100, gradientNorm: 1 }))
 * const { batchUsage, cosineLost, gradientGrowth } = LogFigures.ofTokenizer(rows, 16)
 * assert.deepStrictEqual([batchUsage, cosineLost, gradientGrowth], [16, 0, 1])
 * ```
 */

import { isHealthy, type Name } from "./HealthFigure.ts"

/** A row of the log. */
export type Row = Readonly<Record<string, unknown>>

/** Fewer rows than this tell nothing. */
export const FEWEST = 25

/** Pretraining needs so many steps before its loss tells anything. */
export const FEWEST_OF_PRETRAINING = 100

/** Computes the mean of numbers. */
export const mean = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Computes the median of numbers. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2
}

const valuesOf = (rows: ReadonlyArray<Row>, name: string): ReadonlyArray<number> =>
  rows.flatMap((row) => {
    const value = row[name]
    return typeof value === "number" && Number.isFinite(value) ? [value] : []
  })

/** Returns the number of the last rows that the figures are of: a tenth of all rows, from 5 to 100. */
export const window = (rows: number): number => Math.min(rows, 100, Math.max(5, Math.ceil(rows / 10)))

/** Computes the mean of the last rows, if the log has the column. */
const last = (rows: ReadonlyArray<Row>, name: string): number | undefined => {
  const values = valuesOf(rows.slice(-window(rows.length)), name)
  return values.length === 0 ? undefined : mean(values)
}

/** Keeps the members that are there. */
const there = <K extends string>(
  members: Readonly<Record<K, number | undefined>>
): Readonly<Partial<Record<K, number>>> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<Record<K, number>>

/** Computes the means of windows, the last one first. */
const windows = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const size = window(values.length)
  return Array.from(
    { length: Math.floor(values.length / size) },
    (_, i) => mean(values.slice(values.length - (i + 1) * size, values.length - i * size))
  )
}

const greatest = (values: ReadonlyArray<number>): number => values.reduce((a, b) => Math.max(a, b), -Infinity)

/** The best mean of a window, minus the last one. */
const lost = (values: ReadonlyArray<number>): number | undefined => {
  const means = windows(values)
  return means.length === 0 ? undefined : greatest(means) - means[0]!
}

/** Returns the rows since the warmup, at whose end the learning rate is the greatest. */
const warm = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> => {
  const rates = rows.map(({ lr }) => typeof lr === "number" ? lr : 0)
  return rows.slice(Math.max(0, rates.indexOf(greatest(rates))))
}

/** What a training reached tells nothing before so many steps since the warmup. */
const FEWEST_WARM = 50

/** A cosine that rose by more than this, from the first to the last quarter of the steps, is on its way. */
const RISING = 0.05

/**
 * Returns the best cosine since the warmup, which rose by `rise` meanwhile. Undefined if it tells nothing yet: it is too early, or a low
 * one is on its way.
 */
export const reached = (best: number, rise: number, stepsSinceWarmup: number): number | undefined =>
  stepsSinceWarmup < FEWEST_WARM || isHealthy("cosineBest", best) === false && rise > RISING ? undefined : best

/** The best mean of a window since the warmup. */
const best = (rows: ReadonlyArray<Row>): number | undefined => {
  const values = valuesOf(warm(rows), "cosine")
  const quarter = Math.floor(values.length / 4)
  const rise = mean(values.slice(-quarter)) - mean(values.slice(0, quarter))
  return reached(greatest(windows(values)), rise, values.length)
}

/** The median of the last fifth over that of the second one. The first fifth has the warmup. */
const growth = (values: ReadonlyArray<number>): number | undefined => {
  const fifth = Math.floor(values.length / 5)
  const before = fifth === 0 ? 0 : median(values.slice(fifth, 2 * fifth))
  return before > 0 ? median(values.slice(-fifth)) / before : undefined
}

const between = (rows: ReadonlyArray<Row>): string =>
  rows.length === 0 ? "no steps" : `steps ${String(rows[0]!.step)} to ${String(rows.at(-1)!.step)}`

/** Returns the rows that whole windows cover. */
const covered = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> => rows.slice(rows.length % window(rows.length))

/** Says of which steps of the log a figure is: `steps 271 to 300 of the log`. */
export const stepsOf = (name: Name, rows: ReadonlyArray<Row>): string => {
  const fifth = Math.floor(rows.length / 5)
  switch (name) {
    case "cosineBest":
      return `${between(covered(warm(rows)))} of the log, since the warmup`
    case "cosineLost":
      return `${between(covered(rows))} of the log`
    case "gradientGrowth":
      return `${between(rows.slice(fifth, 2 * fifth))} and ${between(rows.slice(-fifth))} of the log`
    default:
      return `${between(rows.slice(-window(rows.length)))} of the log`
  }
}

/** Computes the figures of a tokenizer's training. `most` is the greatest possible number of codes in a batch. */
export const ofTokenizer = (rows: ReadonlyArray<Row>, most: number) => {
  if (rows.length < FEWEST) return {}
  const perplexity = last(rows, "perplexity")
  return there({
    batchUsage: last(rows, "usage"),
    batchPerplexityShare: perplexity === undefined ? undefined : perplexity / most,
    cosine: last(rows, "cosine"),
    cosineBest: best(rows),
    cosineLost: lost(valuesOf(rows, "cosine")),
    gradientGrowth: growth(valuesOf(rows, "gradientNorm"))
  })
}

/** What the codes of a tokenizer say of a network that only knows how frequent they are. */
export interface Chance {
  /** The entropy of the codes in nats, or the most that it can be. */
  readonly entropy: number
  /** The share of the most frequent code, or the least that it can be. */
  readonly topShare: number
}

/** Computes the figures of a pretraining. */
export const ofBackbone = (rows: ReadonlyArray<Row>, chance: Chance) => {
  const { entropy, topShare } = chance
  if (rows.length < FEWEST_OF_PRETRAINING) return {}
  const [accuracy, loss] = [last(rows, "accuracy_1"), last(rows, "loss_1")]
  return there({
    lossOverEntropy: loss === undefined || entropy <= 0 ? undefined : loss / entropy,
    accuracy,
    accuracyOverChance: accuracy === undefined || topShare <= 0 ? undefined : accuracy / topShare
  })
}
