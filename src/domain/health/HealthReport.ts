/**
 * The health of a run: the figures of its stages, their bands and the findings. `patchword doctor` writes it as `health.json`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { HealthReport, Presets } from "patchword/domain"
 *
 * const about = { stage: "tokenizer", step: 300, finished: true, missing: [] }
 * const measured = [{ name: "usedShare", value: 0.9, on: "1024 images of train" }] as const
 * const stage = HealthReport.ofTokenizer(about, Presets.tiny.tokenizer, measured)
 * assert.strictEqual(stage.figures[0]?.healthy, true)
 * assert.strictEqual(HealthReport.isIll({ version: 1, patchword: "0.1.0", stages: [stage] }), false)
 * ```
 */
import { Schema } from "effect"
import type { PretrainConfig } from "../config/PretrainConfig.ts"
import type { TokenizerConfig } from "../config/TokenizerConfig.ts"
import * as Quantity from "../values/Quantity.ts"
import * as Diagnosis from "./Diagnosis.ts"
import * as HealthFigure from "./HealthFigure.ts"

/** A figure, with what it was measured on. */
export const Measured = Schema.Struct({
  name: HealthFigure.Name,
  value: Schema.Finite,
  /** What it was measured on: `1024 images of train`, `the weights`, `steps 271 to 300 of the log`. */
  on: Schema.String
})
export type Measured = typeof Measured.Type

/** A figure, judged. `healthy` is absent if its figure has no band. */
export const Judged = Schema.Struct({
  ...Measured.fields,
  band: Schema.optionalKey(HealthFigure.Band),
  healthy: Schema.optionalKey(Schema.Boolean)
})
export type Judged = typeof Judged.Type

/** Figures that could not be measured, and why. */
export const Missing = Schema.Struct({ figures: Schema.Array(HealthFigure.Name), why: Schema.String })
export type Missing = typeof Missing.Type

/** The health of a stage. */
export const StageHealth = Schema.Struct({
  stage: Schema.String,
  /** Number of steps that the state has learned from. */
  step: Quantity.Whole,
  /** False if the stage still trains, or was interrupted. */
  finished: Schema.Boolean,
  /** SHA-256 of the weights of a finished stage. Reports of former versions do not have it. */
  weights: Schema.optionalKey(Schema.String),
  /** What to know about its figures: that the run has another tokenizer, or a log of other steps. Absent if there is nothing. */
  notes: Schema.optionalKey(Schema.Array(Schema.String)),
  figures: Schema.Array(Judged),
  findings: Schema.Array(Diagnosis.Finding),
  missing: Schema.Array(Missing)
})
export type StageHealth = typeof StageHealth.Type

/** The images that were looked at. */
export const Images = Schema.Struct({
  split: Schema.String,
  images: Quantity.Count,
  of: Quantity.Count,
  digest: Schema.String
})

/** The report. */
export const HealthReport = Schema.Struct({
  version: Schema.Literal(1),
  patchword: Schema.String,
  /** Absent if no images were looked at. */
  images: Schema.optionalKey(Images),
  stages: Schema.Array(StageHealth)
})
export type HealthReport = typeof HealthReport.Type

/** The facts about a stage besides its figures. */
export type About = Pick<StageHealth, "stage" | "step" | "finished" | "weights" | "notes" | "missing">

const judged = (measured: Measured): Judged => {
  const { name, value } = measured
  const { band } = HealthFigure.all[name]
  const healthy = HealthFigure.isHealthy(name, value)
  return { ...measured, ...(band && { band }), ...(healthy === undefined ? {} : { healthy }) }
}

const valuesOf = (measured: ReadonlyArray<Measured>): Diagnosis.Figures =>
  Object.fromEntries(measured.map(({ name, value }) => [name, value]))

const make = (
  about: About,
  measured: ReadonlyArray<Measured>,
  findings: ReadonlyArray<Diagnosis.Finding>
): StageHealth => ({ ...about, figures: measured.map(judged), findings })

/** Judges the figures of a tokenizer. */
export const ofTokenizer = (
  about: About,
  config: TokenizerConfig,
  measured: ReadonlyArray<Measured>
): StageHealth => make(about, measured, Diagnosis.ofTokenizer(config, valuesOf(measured)))

/** Judges the figures of a pretrained network. */
export const ofBackbone = (
  about: About,
  config: PretrainConfig,
  measured: ReadonlyArray<Measured>
): StageHealth => make(about, measured, Diagnosis.ofBackbone(config, valuesOf(measured)))

/** Tells whether anything is wrong. */
export const isIll = (report: HealthReport): boolean => report.stages.some(({ findings }) => findings.length > 0)
