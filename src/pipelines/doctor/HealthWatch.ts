/**
 * Watches a training, and warns once of each kind of illness. The stages `trainTokenizer` and `pretrain` are watched. By default, a
 * warning is a message of `Progress`, so it is silent without a layer of it. A service of one's own receives warnings as values.
 *
 * Nothing is said during the warmup and shortly after it, because codes and losses move much at the beginning.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 * import { HealthWatch } from "patchword/pipelines"
 *
 * const warned: Array<string> = []
 * const mine = { warn: ({ finding }: HealthWatch.Warning) => Effect.sync(() => void warned.push(finding.illness)) }
 * const watch = HealthWatch.ofTokenizer("tokenizer", Presets.tiny.tokenizer, { total: 300, warmup: 24 })
 * // Two of 256 codes get all 2304 patches of a batch.
 * const counts = Float32Array.from({ length: 256 }, (_, code) => code < 2 ? 1152 : 0)
 * const steps = Effect.forEach(
 *   Array.from({ length: 300 }, (_, i) => i + 1),
 *   (step) => watch({ step, counts, cosine: 0.1, gradientNorm: 1 }),
 *   { discard: true }
 * )
 * await Effect.runPromise(Effect.provideService(steps, HealthWatch.HealthWatch, mine))
 * assert.deepStrictEqual(warned, ["collapse"])
 * ```
 */
import { Context, Effect } from "effect"
import type { PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import * as Diagnosis from "../../domain/health/Diagnosis.ts"
import * as LogFigures from "../../domain/health/LogFigures.ts"
import * as Codebook from "../../domain/method/Codebook.ts"
import { Progress } from "../../layers/run/Progress.ts"

/** A warning: the stage, the number of steps taken, and the finding. */
export interface Warning {
  readonly stage: string
  readonly step: number
  readonly finding: Diagnosis.Finding
}

/** The receiver of warnings. */
export interface HealthWatch {
  /** Receives a warning, once for each kind of illness of a stage. */
  readonly warn: (warning: Warning) => Effect.Effect<void>
}

/** Formats a warning in one line. */
export const show = (warning: Warning): string => {
  const { finding: { cause, change, evidence, title }, stage, step } = warning
  return `${stage}: at step ${step}, ${title} (${evidence.join("; ")}). ${cause} What helps: ${change[0]}. ` +
    "patchword doctor tells more"
}

const saying: HealthWatch = {
  warn: (warning) => Effect.flatMap(Progress, ({ message }) => message(show(warning)))
}

/** The present receiver. By default, warnings are messages of `Progress`. */
export const HealthWatch = Context.Reference<HealthWatch>("patchword/pipelines/HealthWatch", {
  defaultValue: () => saying
})

/** The length of a stage in steps. */
export interface Length {
  readonly total: number
  readonly warmup: number
}

/** So many patches of each code make a picture of their use. */
const PATCHES = 20

const SHORTEST = 20

const LATEST = 500

/** A low cosine may rise from one look to the next by little. */
const FEWEST_WINDOWS = 4

/** Returns the number of steps before the first step that is looked at. */
const quietOf = ({ total, warmup }: Length): number => warmup + Math.min(LATEST, Math.ceil(total / 5))

/** Warns of findings whose title was not said before. Of several causes of one illness, the first one is said. */
const warner = (stage: string) => {
  const said = new Set<string>()
  return Effect.fnUntraced(function*(step: number, findings: ReadonlyArray<Diagnosis.Finding>) {
    const { warn } = yield* HealthWatch
    for (const finding of findings) {
      if (said.has(finding.title)) continue
      said.add(finding.title)
      yield* warn({ stage, step, finding })
    }
  })
}

/** A step of tokenizer training. */
export interface TokenizerTaken {
  /** The number of steps taken. */
  readonly step: number
  /** The number of patches of each code, `[K]`. */
  readonly counts: Float32Array
  readonly cosine: number
  readonly gradientNorm: number
}

/** Makes the watch of a tokenizer. It adds up counts over some steps, which takes `K` additions a step, and then looks at them. */
export const ofTokenizer = (stage: string, config: TokenizerConfig, length: Length) => {
  const { codebook: { size }, encoder: { patches }, optimizer: { batchSize } } = config
  const window = Math.max(SHORTEST, Math.ceil(PATCHES * size / (batchSize * patches)))
  const quiet = quietOf(length)
  const warn = warner(stage)
  const counts = new Float64Array(size)
  let cosines: Array<number> = []
  let norms: Array<number> = []
  let best = -Infinity
  let first: { readonly cosine: number; readonly norm: number; readonly step: number } | undefined
  return (taken: TokenizerTaken): Effect.Effect<void> => {
    const { step } = taken
    if (step <= quiet) return Effect.void
    for (let code = 0; code < size; code++) counts[code]! += taken.counts[code]!
    cosines.push(taken.cosine)
    norms.push(taken.gradientNorm)
    if (cosines.length < window) return Effect.void
    const cosine = LogFigures.mean(cosines)
    const norm = LogFigures.median(norms)
    best = Math.max(best, cosine)
    first ??= { cosine, norm, step }
    const cosineBest = step - first.step < (FEWEST_WINDOWS - 1) * window
      ? undefined
      : LogFigures.reached(best, cosine - first.cosine, step - length.warmup)
    const findings = Diagnosis.ofTokenizer(config, {
      usedShare: Codebook.usage(counts) / size,
      perplexityShare: Codebook.perplexity(counts) / size,
      cosineLost: best - cosine,
      ...(cosineBest === undefined ? {} : { cosineBest }),
      ...(first.norm > 0 ? { gradientGrowth: norm / first.norm } : {})
    })
    counts.fill(0)
    cosines = []
    norms = []
    return findings.length === 0 ? Effect.void : warn(step, findings)
  }
}

/** A step of pretraining. */
export interface PretrainTaken {
  /** The number of steps taken. */
  readonly step: number
  /** The codes of the masked patches. */
  readonly labels: Int32Array
  readonly loss: number
  /** The share of the codes that were predicted. */
  readonly accuracy: number
}

/**
 * Makes the watch of a pretraining on `codes` codes. It compares the loss with the entropy of the codes of the same steps, and the
 * predicted codes with the most frequent one.
 */
export const ofBackbone = (stage: string, config: PretrainConfig, codes: number, length: Length) => {
  const quiet = quietOf(length)
  const warn = warner(stage)
  const counts = new Float64Array(codes)
  let losses: Array<number> = []
  let accuracies: Array<number> = []
  return (taken: PretrainTaken): Effect.Effect<void> => {
    const { accuracy, labels, loss, step } = taken
    if (step <= quiet) return Effect.void
    for (const label of labels) counts[label]!++
    losses.push(loss)
    accuracies.push(accuracy)
    if (losses.length < LogFigures.FEWEST_OF_PRETRAINING) return Effect.void
    const entropy = Codebook.entropy(counts)
    const findings = entropy > 0
      ? Diagnosis.ofBackbone(config, {
        lossOverEntropy: LogFigures.mean(losses) / entropy,
        accuracyOverChance: LogFigures.mean(accuracies) / Codebook.topShare(counts)
      })
      : []
    counts.fill(0)
    losses = []
    accuracies = []
    return findings.length === 0 ? Effect.void : warn(step, findings)
  }
}
