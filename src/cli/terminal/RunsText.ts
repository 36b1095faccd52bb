/** Runs in words: their list, one run, a comparison, and a ranking. */
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import type { Note } from "../../layers/run/Notes.ts"
import type { Ranked } from "../../pipelines/runs/Best.ts"
import * as Comparison from "../../pipelines/runs/Comparison.ts"
import * as Figures from "../../pipelines/runs/Figures.ts"
import type { Figure, Run, StageState } from "../../pipelines/runs/Run.ts"
import * as Duration from "./Duration.ts"
import { columns, type Row, rows } from "./Layout.ts"
import * as Print from "./Print.ts"

const time = (seconds: number | undefined): string =>
  seconds === undefined ? "" : Duration.show(seconds, (value) => value < 99.5 ? value.toPrecision(2) : value.toFixed(0))

const steps = ({ step, total }: StageState): string => total === undefined ? String(step) : `${step} of ${total}`

/** The time of an ISO text to the minute, in UTC. */
const minute = (at: string | undefined): string => at === undefined ? "" : `${at.slice(0, 10)} ${at.slice(11, 16)}`

const owner = ({ owner: one }: Run): string =>
  one === undefined || one.alive === false
    ? ""
    : `process ${one.pid} on ${one.host}${one.alive === undefined ? ", which cannot be asked from here" : ""}`

/** The stage that a run is at: the one that trains, else the last one. */
const present = ({ stages }: Run): StageState | undefined =>
  stages.find(({ state }) => state === "running") ?? stages.findLast(({ state }) => state !== "finished") ??
    stages.at(-1)

/** A table of runs. */
export const list = (runs: ReadonlyArray<Run>): string =>
  columns([
    ["run", "state", "stage", "step", "images/s", "left", "trained", "figures", "last change, UTC", "tags"],
    ...runs.map((run) => {
      const stage = present(run)
      const isRunning = stage?.state === "running"
      return [
        run.path,
        run.state,
        stage?.stage ?? "",
        stage === undefined ? "" : steps(stage),
        isRunning && stage.imagesPerSecond !== undefined ? stage.imagesPerSecond.toFixed(1) : "",
        isRunning ? time(stage.secondsLeft) : "",
        run.seconds === 0 ? "" : time(run.seconds),
        String(run.figures.length),
        minute(run.changed),
        run.tags.join(" ")
      ]
    })
  ]).join("\n")

/** Says that no run is listed: none of the `count` runs in the folders has the tag, or there is none. */
export const none = (folders: ReadonlyArray<string>, count: number, tag: string | undefined): string => {
  const where = folders.join(", ")
  if (tag === undefined || count === 0) return `no runs in ${where}`
  return count === 1
    ? `the run in ${where} does not have the tag ${tag}`
    : `none of the ${count} runs in ${where} has the tag ${tag}`
}

const number = (value: number): string => String(Number(value.toPrecision(4)))

/** A value of a figure: a share in percent. */
const value = (figure: Figure | undefined): string => {
  if (figure === undefined) return ""
  const { of, share, value: found } = figure
  return [share ? `${Print.percent(found)} %` : number(found), ...(of === undefined ? [] : [`of ${of}`])].join(" ")
}

const interval = ({ interval: found, share }: Figure): string => {
  if (found === undefined) return ""
  const [low, high] = found.map(share ? Print.percent : number)
  return `${low} to ${high}${share ? " %" : ""}`
}

const measures = (measured: Readonly<Record<string, number>> | undefined): string =>
  Object.entries(measured ?? {}).map(([name, one]) => `${name} ${number(one)}`).join(", ")

const note = ({ at, id, text }: Note, index: number): ReadonlyArray<Row> =>
  `${minute(at)}  ${text}  (${id})`.split("\n").map((line, i) => [index + i === 0 ? "notes" : "", line])

/** The tags and notes of a run. */
export const noted = (run: string, tags: ReadonlyArray<string>, notes: ReadonlyArray<Note>): string =>
  rows([
    ["run", run],
    ["tags", tags.length === 0 ? "none" : tags.join(", ")],
    ...notes.flatMap(note)
  ]).join("\n")

/** A run with its stages, figures, tags and notes. */
export const show = (run: Run): string => {
  const { computedOn, figures, notes, problems, stages, tags } = run
  const said = stages.flatMap(({ continuedFrom, evaluation, last, stage }): ReadonlyArray<Row> => [
    ...(last === undefined ? [] : [[`${stage}, last batch`, measures(last)] as const]),
    ...(evaluation === undefined ? [] : [[`${stage}, evaluation`, measures(evaluation)] as const]),
    ...(continuedFrom === undefined ? [] : [[`${stage}, from`, ContinuedFrom.show(continuedFrom)] as const])
  ])
  return [
    ...rows([
      ["run", run.path],
      ["state", run.state],
      ["used by", owner(run)],
      ["began, UTC", minute(run.began)],
      ["last change", minute(run.changed)],
      ["trained", run.seconds === 0 ? "" : time(run.seconds)],
      ["computed on", computedOn.map(ComputedOn.show).join(", then ")],
      ["tags", tags.join(", ")],
      ...notes.flatMap(note),
      ...problems.map((problem, i) => [i === 0 ? "problems" : "", problem] as const)
    ]),
    ...(stages.length === 0 ? [] : [
      "",
      ...columns([
        ["stage", "state", "step", "checkpoints after", "images/s", "left", "trained"],
        ...stages.map((stage) => [
          stage.stage,
          stage.failedAt === undefined ? stage.state : `failed at step ${stage.failedAt}`,
          steps(stage),
          stage.checkpoints.join(", "),
          stage.imagesPerSecond === undefined ? "" : stage.imagesPerSecond.toFixed(1),
          time(stage.secondsLeft),
          time(stage.seconds)
        ])
      ])
    ]),
    ...(said.length === 0 ? [] : ["", ...rows(said)]),
    ...(figures.length === 0 ? [] : [
      "",
      ...columns([
        ["figure", "value", "95 % interval", "images"],
        ...figures.map((figure) => [
          Figures.label(figure),
          value(figure),
          interval(figure),
          figure.images === undefined ? "" : String(figure.images)
        ])
      ])
    ])
  ].join("\n")
}

const setting = (titles: ReadonlyArray<string>, title: string, all: ReadonlyArray<Comparison.Setting>) =>
  all.length === 0
    ? [`${title}: no difference`]
    : columns([[title, ...titles], ...all.map(({ key, values }) => [key, ...values])])

/** A comparison of runs. Figures that are equal in all runs are there as well. */
export const comparison = (found: Comparison.Comparison): string => {
  const { config, environment, figures, names, runs } = found
  return [
    ...columns(
      runs.map(({ path, seconds, state, tags }, i) => [names[i]!, path, state, time(seconds), tags.join(" ")])
    ),
    "",
    ...setting(names, "setting", config),
    "",
    ...setting(names, "environment", environment),
    "",
    ...(figures.length === 0 ? ["figures: none"] : columns([
      ["figure", ...names, ...names.slice(1).map((name) => `${name} to ${names[0]!}`)],
      ...figures.map((row) => [
        row.name,
        ...row.figures.map(value),
        ...names.slice(1).map((_, i) => Comparison.verdict(row, i + 1))
      ])
    ]))
  ].join("\n")
}

/** A ranking of runs. */
export const ranking = (ranked: ReadonlyArray<Ranked>): string =>
  columns([
    ["run", "value", "95 % interval", "to the best", "figure", "tags"],
    ...ranked.map(({ differing = [], figure, run, toBest }) => [
      run.path,
      value(figure),
      interval(figure),
      [
        ...(toBest === undefined ? [] : [toBest.isClear ? "clearly behind" : "within the noise"]),
        ...(differing.length === 0 ? [] : [`measured with ${differing.join(" and ")}`])
      ].join("; "),
      Figures.label(figure),
      run.tags.join(" ")
    ])
  ]).join("\n")
