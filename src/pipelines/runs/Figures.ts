/** The figures of a run: the results of its evaluations, and those of a demo's report that no result has. */
import * as Metrics from "../../domain/evaluation/Metrics.ts"
import * as Report from "../../domain/evaluation/Report.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import type { Result as Fidelity } from "../../layers/run/FidelityResults.ts"
import type { Result } from "../../layers/run/Results.ts"
import * as Chosen from "../report/Chosen.ts"
import type { Figure } from "./Run.ts"

/** Returns the figure of a result. */
export const ofResult = (result: Result): Figure => {
  const { digests, images, interval, network, settings, split, top1, verb } = result
  const all = Json.isObject(settings) ? settings : {}
  const setting = Chosen.setting(all)
  return {
    name: `${verb}/${network}/${split}`,
    ...(setting === "" ? {} : { setting }),
    settings: Files.sha256(Json.canonical(all.config ?? null)).slice(0, 8),
    value: top1,
    share: true,
    interval,
    images,
    measuredOn: digests.images
  }
}

/** Returns the figures of a result about drawn pictures: PSNR and SSIM of each way to draw, and the accuracy of predicted codes. */
export const ofFidelity = (result: Fidelity): ReadonlyArray<Figure> => {
  const { codeAccuracy, digests, images, methods, network, settings, split, verb } = result
  // Pictures whose visible patches are drawn, too, are not comparable with those that keep them.
  const mode = Json.isObject(settings) && settings["visible"] === "decode" ? "-decode" : ""
  const name = `${verb}${mode}/${network}/${split}`
  const measured = {
    settings: Files.sha256(Json.canonical(settings)).slice(0, 8),
    images,
    ...(digests["images"] === undefined ? {} : { measuredOn: digests["images"] })
  }
  return [
    ...(codeAccuracy === undefined ? [] : [codeAccuracy]).map((value): Figure => ({
      name: `${name}/codeAccuracy`,
      value,
      share: true,
      of: "patches",
      ...measured
    })),
    ...Object.entries(methods).flatMap(([method, estimates]) =>
      Object.entries(estimates).map(([measure, { interval, mean }]): Figure => ({
        name: `${name}/${method}/${measure}`,
        value: mean,
        share: false,
        ...(interval === undefined ? {} : { interval }),
        ...measured
      }))
    )
  ]
}

// In the report, the three evaluations stand for each set of images.
const SETS: ReadonlyArray<readonly [path: string, split: Report.Split]> = [
  ["", "in-new"],
  ["rendition.flat.", "flat-new"],
  ["rendition.3d.", "3d-new"],
  ["renditionSeen.flat.", "flat-seen"],
  ["renditionSeen.3d.", "3d-seen"]
]

const NETWORKS = {
  probe: { random: "random", tokenizer: "tokenizer", pretrained: "pretrain" },
  knn: { random: "random", tokenizer: "tokenizer", pretrained: "pretrain" },
  finetune: { random: "finetune-random", pretrained: "finetune-pretrained" }
} as const

/** The figures of a report that have no result: `pretrain.maskedAccuracy`. */
const OWN: ReadonlyArray<readonly [path: string, unit: Pick<Figure, "share" | "of">]> = [
  ["tokenizer.cosine", { share: false }],
  ["tokenizer.usage", { share: false }],
  ["tokenizer.perplexity", { share: false }],
  ["pretrain.maskedAccuracy", { share: true, of: "patches" }],
  ["pretrain.loss", { share: false }]
]

/** Returns the figures of a report. Shares of images get the interval that their number of images gives. */
export const ofReport = (report: Report.Report): ReadonlyArray<Figure> => [
  ...OWN.flatMap(([name, unit]): ReadonlyArray<Figure> => {
    const value = Report.figure(report, name)
    return value === undefined ? [] : [{ name, value, ...unit }]
  }),
  ...SETS.flatMap(([path, split]) =>
    Object.entries(NETWORKS).flatMap(([verb, networks]) =>
      Object.entries(networks).flatMap(([key, network]): ReadonlyArray<Figure> => {
        const value = Report.figure(report, `${path}${verb}.${key}`)
        if (value === undefined) return []
        const images = report.counts[split]
        const interval = Metrics.interval(Math.round(value * images), images)
        return [{ name: `${verb}/${network}/${split}`, value, share: true, interval, images }]
      })
    )
  )
]

/** Joins the figures of results and those of a report. Of the same figure, that of the result is kept, since it knows its settings. */
export const join = (
  measured: ReadonlyArray<Figure>,
  report: Report.Report | undefined
): ReadonlyArray<Figure> => {
  const names = new Set(measured.map(({ name }) => name))
  const reported = report === undefined ? [] : ofReport(report)
  return [...reported.filter(({ name }) => !names.has(name)), ...measured].toSorted((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : (a.setting ?? "") < (b.setting ?? "") ? -1 : 1
  )
}

/** Lists what differs between the measurements of two figures, as far as it is known. */
export const differing = (one: Figure, other: Figure): ReadonlyArray<string> => {
  const differs = (key: "measuredOn" | "settings") =>
    one[key] !== other[key] && one[key] !== undefined && other[key] !== undefined
  return [
    ...(differs("measuredOn") ? ["other images"] : []),
    ...(differs("settings") ? ["another configuration of the evaluation"] : [])
  ]
}

/** The name of a figure with its setting, where it has one: `knn/pretrain/val (k 20)`. */
export const label = ({ name, setting }: Figure): string => setting === undefined ? name : `${name} (${setting})`
