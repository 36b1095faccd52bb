/** A run as its folder tells it, at one moment. */
import type * as ComputedOn from "../../domain/values/ComputedOn.ts"
import type * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import type * as Json from "../../domain/values/Json.ts"
import type { Owner } from "../../layers/files/Lock.ts"
import type { Note } from "../../layers/run/Notes.ts"

/**
 * The state of a run or of a stage: a process works on it; it stopped and goes on from its last checkpoint when it is started
 * again; a step failed; or it is done.
 */
export type State = "running" | "stopped" | "failed" | "finished"

/** A stage of a run. */
export interface StageState {
  readonly stage: string
  readonly state: State
  /** Number of steps so far. */
  readonly step: number
  /** Number of all steps, if it is known: a length in epochs is not, before the stage has begun. */
  readonly total?: number
  /** Seconds of training, over all processes. Those of a killed process are counted up to its last entry in the timings. */
  readonly seconds?: number
  /** Images per second, in the newest part of the timings. */
  readonly imagesPerSecond?: number
  /** Seconds that are left at that speed. A stage that failed or is finished has none. */
  readonly secondsLeft?: number
  /** The steps of its checkpoints, in ascending order. */
  readonly checkpoints: ReadonlyArray<number>
  /** The step that failed. */
  readonly failedAt?: number
  /** The metrics of the last step, if the log's end has it. */
  readonly last?: Readonly<Record<string, number>>
  /** The last evaluation during its training, with the `step` after which it was made, if the log's end has it. */
  readonly evaluation?: Readonly<Record<string, number>>
  /** The teacher or the tokenizer that a finished stage learned from, by its name and the SHA-256 of its weights. */
  readonly taughtBy?: { readonly teacher: string; readonly digest: string }
  /** The state that it continued from, if any. */
  readonly continuedFrom?: ContinuedFrom.ContinuedFrom
}

/** A figure of a run. */
export interface Figure {
  /** `probe/pretrain/in-new` for an evaluation, its network and its split; `tokenizer.cosine` for a figure of the report. */
  readonly name: string
  /** The setting that it is for, where there are several: `k 20`. */
  readonly setting?: string
  /** Digest of the configuration of its evaluation. Figures of others cannot be compared. */
  readonly settings?: string
  readonly value: number
  /** True for a share from 0 to 1. */
  readonly share: boolean
  /** Present for a share of patches instead of images. It has no interval, because the patches of an image are not independent. */
  readonly of?: "patches"
  /** The 95 % confidence interval, where it is known. */
  readonly interval?: readonly [low: number, high: number]
  /** Number of the images. */
  readonly images?: number
  /** Digest of the images. */
  readonly measuredOn?: string
}

/** A run. */
export interface Run {
  /** Its folder. */
  readonly path: string
  readonly state: State
  /** The process that has the folder locked. */
  readonly owner?: Owner
  /** The time of its first step, and of the last change of its log, as ISO 8601. */
  readonly began?: string
  readonly changed?: string
  /** Seconds of training, over all stages and processes. */
  readonly seconds: number
  readonly stages: ReadonlyArray<StageState>
  readonly figures: ReadonlyArray<Figure>
  readonly config: Json.Json
  /** The machine at the beginning of the run, and versions of packages. */
  readonly machine: Json.Json
  /** The engines that computed it, in order. */
  readonly computedOn: ReadonlyArray<ComputedOn.ComputedOn>
  readonly tags: ReadonlyArray<string>
  readonly notes: ReadonlyArray<Note>
  /** Files of the run that cannot be read, each as a sentence. The rest of the run is here. */
  readonly problems: ReadonlyArray<string>
}

/** Tests whether a smaller value of a figure or metric is the better one, by its name. */
export const isLowerBetter = (name: string): boolean => /loss|error|seconds|commitment/i.test(name)
