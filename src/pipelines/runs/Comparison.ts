/**
 * The comparison of runs: what differs in their settings and machines, their figures side by side, and their curves in the same
 * charts.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Comparison, type Registry } from "patchword/pipelines"
 *
 * const run = (path: string, lr: number, top1: number): Registry.Run => ({
 *   path,
 *   state: "finished",
 *   seconds: 60,
 *   stages: [],
 *   figures: [{ name: "probe/pretrain/val", value: top1, share: true, interval: [top1 - 0.04, top1 + 0.04], images: 600 }],
 *   config: { pretrain: { lr } },
 *   machine: {},
 *   computedOn: [],
 *   tags: [],
 *   notes: [],
 *   problems: []
 * })
 * const { config, figures } = Comparison.of([run("runs/one", 0.003, 0.45), run("runs/two", 0.001, 0.47)])
 * assert.deepStrictEqual(config, [{ key: "pretrain.lr", values: ["0.003", "0.001"] }])
 * assert.match(Comparison.verdict(figures[0]!, 1), /within the noise/)
 * ```
 */
import { Effect, type FileSystem, type Path } from "effect"
import * as AccuracyDifference from "../../domain/evaluation/AccuracyDifference.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Numbers from "../report/Numbers.ts"
import type { Curve } from "../report/PageData.ts"
import * as Figures from "./Figures.ts"
import * as ReadRun from "./ReadRun.ts"
import { type Figure, isLowerBetter, type Run } from "./Run.ts"
import * as RunCurves from "./RunCurves.ts"
import type { RunFolderError } from "./RunFolderError.ts"

/** A setting that is not the same in all runs, with its text in each. A run without it has `absent`. */
export interface Setting {
  readonly key: string
  readonly values: ReadonlyArray<string>
}

/** A figure of several runs. */
export interface FigureRow {
  /** Its name, with its setting where it has one. */
  readonly name: string
  readonly isLowerBetter: boolean
  /** The figure of each run; undefined where a run lacks it. */
  readonly figures: ReadonlyArray<Figure | undefined>
  /**
   * The run that the others are compared with: the first one that has the figure with an interval, or, if there is none, the first one that
   * has the figure.
   */
  readonly reference: { readonly index: number; readonly name: string }
  /** The difference of each other run to the reference; undefined where one of the two lacks the figure or its interval. */
  readonly differences: ReadonlyArray<AccuracyDifference.Difference | undefined>
}

/** A comparison of runs. The first run is the one that the others are compared with, but in figures that it lacks. */
export interface Comparison {
  readonly runs: ReadonlyArray<Run>
  /** A short name of each run. No two are equal. */
  readonly names: ReadonlyArray<string>
  readonly config: ReadonlyArray<Setting>
  /** Machines, versions of packages, and engines. */
  readonly environment: ReadonlyArray<Setting>
  readonly figures: ReadonlyArray<FigureRow>
}

/** Lists what differs between values. */
const settings = (values: ReadonlyArray<Json.Json>): ReadonlyArray<Setting> => {
  const [first = {}, ...others] = values
  const found = others.map((other) => new Map(Json.differences(first, other).map((one) => [one.key, one] as const)))
  const stored = new Map(found.flatMap((differences) => Array.from(differences, ([key, one]) => [key, one.stored] as const)))
  return Array.from(stored, ([key, own]) => ({
    key,
    values: [own, ...found.map((differences) => differences.get(key)?.asked ?? own)]
  }))
}

/** Lists stages that learned from different tokenizers or teachers, with the beginnings of their digests. */
const teachers = (runs: ReadonlyArray<Run>): ReadonlyArray<Setting> => {
  const taught = runs.map(({ stages }) =>
    new Map(stages.flatMap(({ stage, taughtBy }) =>
      taughtBy === undefined ? [] : [[
        `${taughtBy.teacher === "tokenizer" ? "tokenizer" : "teacher"} of ${stage} (SHA-256)`,
        taughtBy.digest
      ]]
    ))
  )
  const keys = [...new Set(taught.flatMap((known) => [...known.keys()]))]
  return keys.flatMap((key) =>
    new Set(taught.flatMap((known) => known.get(key) ?? [])).size < 2
      ? []
      : [{ key, values: taught.map((known) => known.get(key)?.slice(0, 12) ?? "absent") }]
  )
}

/** The key of a figure among those of several runs: two figures of one key can be compared. */
const keyOf = (figure: Figure, isAlone: boolean): string => isAlone ? figure.name : Figures.label(figure)

const rowsOf = (runs: ReadonlyArray<Run>, shown: ReadonlyArray<string>): ReadonlyArray<FigureRow> => {
  const names = runs.map(({ figures }) => Map.groupBy(figures, ({ name }) => name))
  // What an evaluation chose, such as a penalty, may differ. Where a run has several settings, only equal ones are compared.
  const isAlone = (name: string): boolean => names.every((known) => (known.get(name) ?? []).length < 2)
  const keyed = runs.map(({ figures }) => {
    const known = new Map<string, Figure>()
    for (const figure of figures) {
      const key = keyOf(figure, isAlone(figure.name))
      known.set(known.has(key) ? `${key}, settings ${figure.settings ?? "unknown"}` : key, figure)
    }
    return known
  })
  const keys = [...new Set(keyed.flatMap((known) => [...known.keys()]))]
  return keys.map((name): FigureRow => {
    const figures = keyed.map((known) => known.get(name))
    const measured = figures.findIndex((figure) => figure?.interval !== undefined)
    const index = measured === -1 ? figures.findIndex((figure) => figure !== undefined) : measured
    const first = figures[index]
    return {
      name,
      isLowerBetter: isLowerBetter(name),
      figures,
      reference: { index, name: shown[index]! },
      differences: figures.map((figure, i) =>
        i === index || first?.interval === undefined || figure?.interval === undefined ? undefined : AccuracyDifference.between(
          { value: first.value, interval: first.interval },
          { value: figure.value, interval: figure.interval }
        )
      )
    }
  })
}

const parts = (path: string): ReadonlyArray<string> => path.split(/[/\\]+/).filter((part) => part !== "")

/** Returns a short name of each path: as many of its last folders as it takes for all to differ. */
export const shortNames = (paths: ReadonlyArray<string>): ReadonlyArray<string> => {
  const longest = Math.max(1, ...paths.map((path) => parts(path).length))
  for (let count = 1; count <= longest; count++) {
    const names = paths.map((path) => parts(path).slice(-count).join("/"))
    if (new Set(names).size === names.length) return names
  }
  return paths.map((path, i) => `${path} (${i + 1})`)
}

/** Compares runs that were read. */
export const of = (runs: ReadonlyArray<Run>): Comparison => {
  const names = shortNames(runs.map(({ path }) => path))
  return {
    runs,
    names,
    config: [...settings(runs.map(({ config }) => config)), ...teachers(runs)],
    environment: settings(runs.map(({ computedOn, machine }) => {
      const known = Json.isObject(machine) ? machine : {}
      return { ...known, ...(computedOn.length > 0 && { engine: computedOn.map(ComputedOn.show).join(", then ") }) }
    })),
    figures: rowsOf(runs, names)
  }
}

/** Reads runs and compares them. Fails as `Registry.read` does. */
export const diff = Effect.fn("patchword.Comparison.diff")(
  function*(
    folders: ReadonlyArray<string>
  ): Effect.fn.Return<Comparison, RunFolderError, FileSystem.FileSystem | Path.Path> {
    return of(yield* Effect.forEach(folders, ReadRun.read))
  }
)

/**
 * Reads the curves of runs, for charts with a line for each run. The first run is the baseline. Metrics that only one run has are
 * there as well.
 */
export const curves = Effect.fn("patchword.Comparison.curves")(
  function*(
    folders: ReadonlyArray<string>,
    options?: RunCurves.CurveOptions
  ): Effect.fn.Return<ReadonlyArray<Curve>, RunFolderError, FileSystem.FileSystem | Path.Path> {
    const names = shortNames(folders)
    const found = yield* Effect.forEach(folders, (run) => RunCurves.read(run, options))
    return found.flatMap(({ measured, speed }, i) =>
      [...measured, ...speed].map((curve): Curve => ({ ...curve, run: names[i]!, baseline: i === 0 }))
    )
  }
)

const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Numbers.short(Math.abs(value))}`

/**
 * Says in words what the difference of the run at `index` to the reference means, with the name of a reference that is not the first run, and
 * what differs in the measurements. Empty for the reference, and where one of the two lacks the figure.
 */
export const verdict = (row: FigureRow, index: number): string => {
  const { differences, figures, reference } = row
  const [one, other] = [figures[reference.index], figures[index]]
  if (index === reference.index || one === undefined || other === undefined) return ""
  const found = differences[index]
  const differing = Figures.differing(one, other)
  const caution = differing.length === 0 ? [] : [`measured with ${differing.join(" and ")}`]
  const to = reference.index === 0 ? "" : `to ${reference.name}: `
  if (found === undefined) return caution.map((text) => `${to}${text}`).join("")
  const { difference, interval: [low, high], isClear } = found
  const show = other.share ? Numbers.points : signed
  const measured = `${show(difference)}${other.share ? " points" : ""}, 95 %: ${show(low)} to ${show(high)}`
  return `${to}${[`${measured}: ${isClear ? "a clear difference" : "within the noise"}`, ...caution].join("; ")}`
}
