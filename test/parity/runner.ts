import { Cause, Effect, type Scope } from "effect"
import { readdirSync } from "node:fs"
import type { Engine } from "../../src/layers/engine/Engine.ts"
import { type Check, type Fixture, open, type Report } from "./fixture.ts"
import { batchNorm } from "./fixtures/batchNorm.ts"
import { corruptions } from "./fixtures/corruptions.ts"
import { finetune } from "./fixtures/finetune.ts"
import * as Hf from "./fixtures/hf.ts"
import { imageOps } from "./fixtures/imageOps.ts"
import { knn } from "./fixtures/knn.ts"
import { logreg } from "./fixtures/logreg.ts"
import { masks } from "./fixtures/masks.ts"
import { mim } from "./fixtures/mim.ts"
import { miou } from "./fixtures/miou.ts"
import { misc } from "./fixtures/misc.ts"
import { mixup } from "./fixtures/mixup.ts"
import { modelEma } from "./fixtures/modelEma.ts"
import { probeSweep } from "./fixtures/probeSweep.ts"
import { quantizer } from "./fixtures/quantizer.ts"
import { relpos } from "./fixtures/relpos.ts"
import { robustness } from "./fixtures/robustness.ts"
import { segAugment } from "./fixtures/segAugment.ts"
import { segmentation } from "./fixtures/segmentation.ts"
import * as Segmenter from "./fixtures/segmenter.ts"
import { multiscaleFlip, slideInference } from "./fixtures/slideInference.ts"
import * as Teacher from "./fixtures/teacher.ts"
import * as Timm from "./fixtures/timm.ts"
import { vqkd } from "./fixtures/vqkd.ts"

type Handler = (fixture: Fixture) => Effect.Effect<void, unknown, Engine | Scope.Scope>

const handlers: Readonly<Record<string, Handler>> = {
  batch_norm: batchNorm,
  corruptions,
  finetune,
  hf_beit_classifier: Hf.classifier,
  hf_beit_mim: Hf.pretrained,
  hf_clip_vision: Hf.clip,
  hf_dino_vit: Hf.dino,
  hf_dinov2: Hf.dinov2,
  image_ops: imageOps,
  knn,
  logreg,
  masks,
  mim,
  miou,
  misc,
  mixup,
  model_ema: modelEma,
  multiscale_flip: multiscaleFlip,
  probe_sweep: probeSweep,
  quantizer,
  relpos,
  robustness,
  seg_augment: segAugment,
  seg_backbone: segmentation,
  seg_schedule: Segmenter.schedule,
  segmenter: Segmenter.whole,
  slide_inference: slideInference,
  teacher_clip: Teacher.teacherClip,
  teacher_dino: Teacher.teacherDino,
  timm_beit: Timm.beit,
  timm_clip_names: Timm.clipNames,
  timm_relpos_resize: Timm.relativePositions,
  upernet_fcn: Segmenter.heads,
  vqkd
}

/** Files that belong to a fixture and are no fixture of their own. */
const attachments = /^masks_trace_/

const handlerOf = (name: string): Handler | undefined =>
  Object.entries(handlers).find(([prefix]) => name === prefix || name.startsWith(`${prefix}_`))?.[1]

const stem = (file: string) => file.slice(0, file.lastIndexOf("."))

/** The fixtures of a folder by name. */
export const names = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).filter((file) => file.endsWith(".json") && !attachments.test(file)).map(stem).toSorted()

/** A fixture's report, why it could not be finished if it could not, and the files that it read. */
export interface Outcome extends Report {
  readonly failure?: string
  readonly files: ReadonlyArray<string>
}

const failed = <E>(cause: Cause.Cause<E>) => Effect.succeed(Cause.pretty(cause))

const check = Effect.fnUntraced(function*(fixture: Fixture, files: ReadonlyArray<string>) {
  const handler = handlerOf(fixture.name)
  const failure = handler === undefined
    ? "there is no check for it"
    : yield* Effect.scoped(Effect.suspend(() => handler(fixture))).pipe(
      Effect.as(undefined),
      Effect.catchCause(failed)
    )
  const report = fixture.report()
  const reason = failure ?? (report.checks.length === 0 ? "nothing of it was compared" : undefined)
  const outcome: Outcome = {
    ...report,
    files: [...files, ...fixture.attached],
    ...(reason === undefined ? {} : { failure: reason })
  }
  return outcome
})

/** Compares everything that a fixture holds with what the engine in the environment gives. */
export const run = (folder: string, name: string): Effect.Effect<Outcome, never, Engine> => {
  const files = [`${name}.json`, `${name}.safetensors`]
  const nothing = { name, checks: [], left: [], unread: [], files }
  return Effect.suspend(() => check(open(folder, name), files)).pipe(
    Effect.catchCause((cause) => Effect.map(failed(cause), (failure): Outcome => ({ ...nothing, failure })))
  )
}

export const isOut = ({ bound, error }: Check) => !(error <= bound)

/** What is wrong: tensors over their bound, keys that nothing read, and what stopped the fixture. */
export const problems = ({ checks, failure, name, unread }: Outcome): ReadonlyArray<string> => [
  ...checks.filter(isOut).map((check) => `${check.tensor}: ${describe(check)}`),
  ...unread.map((key) => `${key}: unread`),
  ...(failure === undefined ? [] : [`${name}: ${failure}`])
]

const share = ({ bound, error }: Check) => (error === 0 ? 0 : error / bound)

const describe = ({ bound, error, rms }: Check): string =>
  bound === 0
    ? error === 0 ? "exact" : `${error} differ`
    : rms === 0
    ? `${error.toExponential(1)} of ${bound.toExponential(1)}`
    : `${(error / rms).toExponential(1)} rms of ${(bound / rms).toExponential(1)}`

const line = (mark: string, ...columns: ReadonlyArray<string>) =>
  [mark.padEnd(6), ...columns.map((column, at) => column.padEnd([24, 16, 12, 28][at] ?? 0))].join(" ").trimEnd()

/** One line per part of a fixture, then what is wrong with it. */
export const lines = (outcome: Outcome): ReadonlyArray<string> => {
  const { checks, failure, left, name, unread } = outcome
  const parts = Map.groupBy(checks, ({ part }) => part)
  return [
    ...Array.from(parts, ([part, group]) => {
      const worst = group.reduce((a, b) => (share(b) > share(a) || a.bound === 0 && b.error === 0 ? b : a))
      const count = `${group.length} check${group.length === 1 ? "" : "s"}`
      return line(group.some(isOut) ? "OUT" : "ok", name, part, count, describe(worst), worst.tensor)
    }),
    ...checks.filter((check) => isOut(check) || check.noise === true).map((check) =>
      line(isOut(check) ? "" : "noise", name, check.part, "", describe(check), check.tensor)
    ),
    ...left.filter(({ what }) => what.length > 0).map(({ what, why }) =>
      line("left", name, `${what.length} keys`, why)
    ),
    ...(unread.length === 0 ? [] : [line("UNREAD", name, `${unread.length} keys`, unread.join(", "))]),
    ...(failure === undefined ? [] : [line("FAILED", name, failure)])
  ]
}

/** The files of a folder that could belong to a fixture, and do not. */
export const strays = (folder: string, outcomes: ReadonlyArray<Outcome>): ReadonlyArray<string> => {
  const known = new Set(outcomes.flatMap(({ files }) => files))
  return readdirSync(folder).filter((file) => /\.(?:json|safetensors)$/.test(file) && !known.has(file))
}

/** One line of counts, and whether everything holds. */
export const verdict = (outcomes: ReadonlyArray<Outcome>, strays: ReadonlyArray<string>) => {
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0)
  const wrong = outcomes.filter((outcome) => problems(outcome).length > 0).length
  return {
    holds: wrong === 0 && strays.length === 0,
    text: `${outcomes.length - wrong} of ${outcomes.length} fixtures hold; ` +
      `${sum(({ checks }) => checks.length)} checks, ${sum(({ checks }) => checks.filter(isOut).length)} out, ` +
      `${sum(({ unread }) => unread.length) + strays.length} unread, ` +
      `${sum(({ left }) => left.reduce((total, { what }) => total + what.length, 0))} left on purpose, ` +
      `${sum(({ failure }) => (failure === undefined ? 0 : 1))} failed`
  }
}
