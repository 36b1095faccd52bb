/** Tells what of a run was made of other weights than the run has now: its atlas, its completions, its looks, its health. */
import type { HealthReport } from "../../domain/health/HealthReport.ts"
import type * as CompletionSample from "../../layers/run/CompletionSample.ts"
import type * as AtlasIndex from "../atlas/AtlasIndex.ts"
import type * as LookFolder from "../look/LookFolder.ts"
import type { Run } from "../runs/Run.ts"
import * as Decoder from "../trained/Decoder.ts"
import type * as RunDigests from "../trained/RunDigests.ts"

const TOKENIZER = "Tokenizer"
const BACKBONE = "Backbone"

/** Something that was made of weights. */
export interface Made {
  /** Its name, at the beginning of a sentence. */
  readonly what: string
  /** The SHA-256 of the weights; undefined if it was not kept. */
  readonly weights: string | undefined
  /** The kind of the network that it was made of, so that only such are compared; undefined for all kinds. */
  readonly kind: string | undefined
  /** The stage that it was made of, where it is known. If the run has that stage, no other one is compared. */
  readonly stage?: string
}

/** Describes an atlas. */
export const atlas = ({ tokenizer }: AtlasIndex.Identity): Made => ({
  what: "the atlas",
  weights: tokenizer,
  kind: TOKENIZER
})

/** Describes the completion of a split: by its tokenizer, by its network, and by its decoder. */
export const completion = ({ split, weights }: CompletionSample.Sample): ReadonlyArray<Made> => [
  { what: `the completion of ${split} (its codes)`, weights: weights?.tokenizer, kind: TOKENIZER },
  { what: `the completion of ${split} (its network)`, weights: weights?.backbone, kind: BACKBONE },
  { what: `the completion of ${split} (its decoder)`, weights: weights?.decoder, kind: Decoder.NAME }
]

/** Describes a look. */
export const look = ({ kind, network, weights }: LookFolder.Look): Made => ({
  what: `the ${kind === "pca" ? "picture of components" : "attention"} of ${network}`,
  weights,
  kind: undefined,
  stage: network
})

/** Returns a sentence on each that was made of other weights. A run without finished weights has none to compare with. */
export const sentences = (
  made: ReadonlyArray<Made>,
  now: ReadonlyArray<RunDigests.StageDigest>
): ReadonlyArray<string> =>
  made.flatMap(({ kind, stage, weights, what }) => {
    const own = now.filter((one) => one.stage === stage)
    const compared = own.length > 0 ? own : now.filter((one) => kind === undefined || one.kind === kind)
    if (weights === undefined || compared.length === 0 || compared.some(({ digest }) => digest === weights)) return []
    const present = compared.map(({ digest, stage }) => `${stage} ${digest.slice(0, 12)}`).join(", ")
    return [
      `${what} was made of other weights than the run has now (SHA-256 ${
        weights.slice(0, 12)
      }; now ${present}). Make it again`
    ]
  })

const EXAMINED: ReadonlySet<string | undefined> = new Set([TOKENIZER, BACKBONE])

/** Returns a sentence on each stage that has gone on, begun or changed since the diagnosis, so that the report is not of its present state. */
export const health = (
  report: HealthReport,
  { stages }: Pick<Run, "stages">,
  now: ReadonlyArray<RunDigests.StageDigest>
): ReadonlyArray<string> => {
  const told = report.stages.flatMap((one): ReadonlyArray<string> => {
    const examined = `the health of ${one.stage} is of step ${one.step}`
    const present = stages.find(({ stage }) => stage === one.stage)
    const digest = now.find(({ stage }) => stage === one.stage)?.digest
    if (present === undefined) return [`${examined}; the run has no such stage now`]
    if (one.weights !== undefined && digest !== undefined) {
      return one.weights === digest ? [] : [
        `${examined} and of other weights than the run has now, at step ${present.step} (SHA-256 ${
          one.weights.slice(0, 12)
        }; now ${digest.slice(0, 12)})`
      ]
    }
    if (present.state === "finished" && !one.finished) {
      return [`${examined}; the stage is finished now, at step ${present.step}`]
    }
    // The steps after the last checkpoint cannot be examined yet.
    const newest = present.state === "finished" ? present.step : present.checkpoints.at(-1) ?? 0
    return newest > one.step || present.step < one.step ? [`${examined}; the run is at step ${present.step}`] : []
  })
  const others = stages.filter(({ checkpoints, stage, state }) =>
    report.stages.every((one) => one.stage !== stage) &&
    (state === "finished"
      ? EXAMINED.has(now.find((one) => one.stage === stage)?.kind)
      // The arrays of a checkpoint tell its kind, and are long to read. The name begins with it.
      : checkpoints.length > 0 && /^(?:tokenizer|pretrain)/.test(stage))
  )
  return [...told, ...others.map(({ stage, step }) => `${stage} was not examined; the run is at its step ${step}`)]
}
