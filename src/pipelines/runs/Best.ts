/** The runs with the best values of a figure. */
import { Effect, type FileSystem, type Path } from "effect"
import * as AccuracyDifference from "../../domain/evaluation/AccuracyDifference.ts"
import * as Suggest from "../../domain/values/Suggest.ts"
import * as Figures from "./Figures.ts"
import * as Registry from "./Registry.ts"
import { type Figure, isLowerBetter, type Run } from "./Run.ts"
import * as RunCurves from "./RunCurves.ts"
import { NoFigure, type RunFolderError, within } from "./RunFolderError.ts"

/** A run with its value. */
export interface Ranked {
  readonly run: Run
  readonly figure: Figure
  /** The difference to the best run, if both have an interval. */
  readonly toBest?: AccuracyDifference.Difference
  /** What differs between the measurements of this run and of the best one, in words. Absent if nothing is known to differ. */
  readonly differing?: ReadonlyArray<string>
}

/** Tests whether the parts of a figure's name contain those that are asked for, in order: `probe/val` asks for `probe/pretrain/val`. */
const isMeant = (name: string, asked: string): boolean => {
  if (name === asked) return true
  const parts = asked.split("/")
  let next = 0
  for (const part of name.split("/")) if (part === parts[next]) next++
  return next === parts.length
}

/** Options of {@link best}. */
export interface BestOptions extends Registry.ListOptions {
  /** True if the smallest value is the best; by default so for losses, errors and seconds. */
  readonly lowest?: boolean
}

/** Figures from the log: the last value of each metric, as `pretrain/loss_1`. */
const logged = Effect.fnUntraced(function*(run: Run) {
  const { measured } = yield* RunCurves.read(run.path, { points: 4 })
  return measured.flatMap(({ metric, stage, values }): ReadonlyArray<Figure> =>
    values.length === 0 ? [] : [{ name: `${stage}/${metric}`, value: values[values.length - 1]!, share: false }]
  )
})

/**
 * Ranks runs by a figure, the best one first. `figure` is the name of a figure, or some of its parts: `probe/in-new`. Of a run with
 * several such figures, the best counts. If no run has it, the last values in the logs are searched, as `pretrain/loss_1` or
 * `finetune-validation/accuracy`.
 *
 * Fails with `NoFigure` if no run has it, and as `Registry.list` does.
 */
export const best = Effect.fn("patchword.best")(
  function*(
    folders: ReadonlyArray<string>,
    figure: string,
    options: BestOptions = {}
  ): Effect.fn.Return<ReadonlyArray<Ranked>, RunFolderError, FileSystem.FileSystem | Path.Path> {
    const runs = yield* Registry.list(folders, options)
    const evaluated = runs.map((run) => ({ run, figures: run.figures }))
    const isThere = evaluated.some(({ figures }) => figures.some(({ name }) => isMeant(name, figure)))
    const all = isThere
      ? evaluated
      : yield* Effect.forEach(runs, (run) => Effect.map(logged(run), (figures) => ({ run, figures })))
    const lowest = options.lowest ?? isLowerBetter(figure)
    const order = (a: Figure, b: Figure): number => lowest ? a.value - b.value : b.value - a.value
    const ranked = all.flatMap(({ figures, run }) => {
      const [own] = figures.filter(({ name }) => isMeant(name, figure)).toSorted(order)
      return own === undefined ? [] : [{ run, figure: own }]
    }).toSorted((a, b) => order(a.figure, b.figure))
    const [first] = ranked
    if (first === undefined) {
      const names = [...new Set([...evaluated, ...all].flatMap(({ figures }) => figures.map(({ name }) => name)))]
      const near = Suggest.nearest(figure, names)
      const known = near === undefined ? names : [near, ...names.filter((name) => name !== near)]
      return yield* within(folders.join(", "))(Effect.fail(new NoFigure({ figure, known })))
    }
    return ranked.map(({ figure: own, run }): Ranked => {
      if (run === first.run) return { run, figure: own }
      const [one, other] = [first.figure.interval, own.interval]
      const differing = Figures.differing(first.figure, own)
      return {
        run,
        figure: own,
        ...(one !== undefined && other !== undefined && {
          toBest: AccuracyDifference.between(
            { value: first.figure.value, interval: one },
            { value: own.value, interval: other }
          )
        }),
        ...(differing.length > 0 && { differing })
      }
    })
  }
)
