/**
 * Results of evaluations, kept in the run's folder: `results/VERB-SPLIT-….json`, one file per split. The name of a file
 * depends on its content. So results under other settings get other files, and equal results share one.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files, Results } from "patchword/layers"
 *
 * assert.deepStrictEqual(await Effect.runPromise(Effect.provide(Results.read("runs/none"), Files.layerNode)), [])
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Runtime, Schema } from "effect"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as ClassReport from "../../domain/evaluation/ClassReport.ts"
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Csv from "../../domain/values/Csv.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Version from "../../domain/values/Version.ts"
import { Engine } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import * as RunKeeper from "./RunKeeper.ts"

/** The verb that evaluated. */
export const Verb = Schema.Literals(["probe", "knn", "finetune", "robustness"])

/** The figures of one split, with the network, the digests and the settings behind them. */
export const Result = Schema.Struct({
  verb: Verb,
  /** The stage, or the file, with the evaluated weights. */
  network: Schema.String,
  ...Accuracy.Accuracy.fields,
  /** SHA-256 of the weights, of the training images and of the evaluated images. */
  digests: Schema.Struct({ weights: Schema.String, train: Schema.String, images: Schema.String }),
  /** Configuration of the verb, and all else that its figures depend on. */
  settings: Schema.Json,
  computedOn: ComputedOn.ComputedOn,
  patchword: Schema.String,
  /** The paper's number for this evaluation. Absent if it has none. */
  paper: Schema.optionalKey(PaperTables.Entry),
  /** The loss, the accuracy of each class and the confusions of a classifier. */
  report: Schema.optionalKey(ClassReport.ClassReport)
})
export type Result = typeof Result.Type

/** Returns the accuracy that a result holds. */
export const figure = (result: Result): Accuracy.Accuracy => {
  const { classes, images, interval, largestClass, split, top1, top5 } = result
  return { split, images, classes, top1, ...(top5 === undefined ? {} : { top5 }), interval, largestClass }
}

/** The file is not a result. */
export class NoResult extends TaggedError<NoResult>()("NoResult", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `this is not a result of patchword, or it is damaged (${this.problem})`
  }
  get remedy() {
    return "remove or restore the file"
  }
}

/** Results cannot be written or read. The exit code is that of the reason. */
export class ResultsError extends TaggedError<ResultsError>()("ResultsError", {
  file: Schema.String,
  reason: Schema.Union([NoResult, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "FileError" ? this.reason.finding : `${this.file}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Folder of a run for results. */
export const FOLDER = "results"

const text = Json.text(Result, { space: 2 })
const encode = Schema.encodeEffect(text)
const decode = Schema.decodeEffect(text)

/** The part of results that all splits of an evaluation share. */
export interface About {
  readonly verb: typeof Verb.Type
  readonly network: string
  /** SHA-256 of the weights. */
  readonly weights: string
  /** SHA-256 of the training images. */
  readonly train: string
  readonly settings: Json.Json
  /**
   * The sizes of a pretrained network, and its epochs of pretraining, if known. They decide which number of the paper belongs to
   * it.
   */
  readonly vit?: PaperTables.Sizes | undefined
  readonly epochs?: number | undefined
}

/**
 * Makes the results of figures. `sets` are the sets that these were measured on, and `reports` what else was found there, in the
 * same order.
 */
export const make = Effect.fnUntraced(function*(
  about: About,
  sets: ReadonlyArray<{ readonly digest: string }>,
  figures: ReadonlyArray<Accuracy.Accuracy>,
  reports: ReadonlyArray<ClassReport.ClassReport> = []
) {
  const { network, settings, train, verb, weights } = about
  const { about: engine } = yield* Engine
  const { epochs, vit } = about
  return figures.map((figure, i): Result => {
    const paper = vit && PaperTables.counterpart({ verb, vit, epochs }, figure)
    return {
      verb,
      network,
      ...figure,
      digests: { weights, train, images: sets[i]!.digest },
      settings,
      computedOn: ComputedOn.of(engine),
      patchword: Version.version,
      ...(paper === undefined ? {} : { paper }),
      ...(reports[i] === undefined ? {} : { report: reports[i] })
    }
  })
})

/** Adds the file to errors. */
export const within = (file: string) =>
  Effect.mapError((reason: ResultsError["reason"]) => new ResultsError({ file, reason }))

/** Formats the classes of a result and its confusions as CSV files, by the ending of their names. */
const tables = ({ report }: Result): ReadonlyArray<readonly [ending: string, text: string]> => {
  if (report === undefined) return []
  const { confusions, perClass } = report
  const shares = perClass.map((
    { class: name, images, right }
  ) => [name, images, right, images === 0 ? "" : right / images])
  return [
    [".classes.csv", [["class", "images", "right", "top1"], ...shares].map(Csv.line).join("")],
    [
      ".confusions.csv",
      [["class", "as", "images"], ...confusions.map(({ as, class: name, images }) => [name, as, images])].map(Csv.line)
        .join("")
    ]
  ]
}

/** The name of the file of a result without its ending. It depends on the content. */
export const nameOf = (verb: string, split: string, content: string): string =>
  `${verb}-${encodeURIComponent(split)}-${Files.sha256(content).slice(0, 12)}`

/**
 * Writes results to a run's folder, each atomically. Those with a report of classes also get CSV files beside them,
 * `….classes.csv` and `….confusions.csv`. Returns the files of the results. Fails with `FileError` if one cannot be written.
 */
export const save: (
  run: string,
  results: ReadonlyArray<Result>
) => Effect.Effect<ReadonlyArray<string>, ResultsError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.Results.save"
)(
  function*(run, results) {
    const { path, sweep, write } = yield* Files.make
    const folder = path.join(run, FOLDER)
    const { store } = yield* RunKeeper.of(run)
    yield* within(folder)(Files.ifThere(sweep(folder)))
    const saved = yield* Effect.forEach(results, (result) =>
      Effect.gen(function*() {
        const content = `${yield* Effect.orDie(encode(result))}\n`
        const name = nameOf(result.verb, result.split, content)
        for (const [ending, table] of tables(result)) {
          const place = path.join(folder, `${name}${ending}`)
          yield* within(place)(write(place, table))
        }
        const file = path.join(folder, `${name}.json`)
        yield* within(file)(write(file, content))
        return file
      }))
    yield* within(folder)(store)
    return saved
  }
)

/** Decodes the text of a result. Fails with `NoResult` if it is none. */
export const parse = (content: string): Effect.Effect<Result, NoResult> =>
  Effect.mapError(decode(content), (error) => new NoResult({ problem: Explain.of(error) }))

/**
 * Reads the JSON files of a folder in a run's folder, ordered by their names. `isOne` tells the names of those that `parse` takes.
 * Returns those that could be read, and the errors of the others. Fails with `FileError` if the folder cannot be read.
 */
export const readFolder = Effect.fnUntraced(function*<A>(
  run: string,
  name: string,
  isOne: (name: string) => boolean,
  parse: (content: string) => Effect.Effect<A, NoResult>
) {
  const { fs, path, readText } = yield* Files.make
  const folder = path.join(run, name)
  const names = yield* within(folder)(Files.ifThere(Files.onFailure(folder)(fs.readDirectory(folder))))
  const files = Option.getOrElse(names, () => []).filter((name) => name.endsWith(".json") && isOne(name)).toSorted()
  return yield* Effect.partition(files, (name) => {
    const file = path.join(folder, name)
    return readText(file).pipe(Effect.flatMap(parse), within(file))
  })
})

/** Reads the results of verbs in a run's folder, ordered by the names of their files. Fails with `NoResult` if `parse` does. */
export const readAll = <A>(
  run: string,
  verbs: ReadonlyArray<string>,
  parse: (content: string) => Effect.Effect<A, NoResult>
) =>
  Effect.flatMap(
    readFolder(run, FOLDER, (name) => verbs.some((verb) => name.startsWith(`${verb}-`)), parse),
    ([results, [error]]) => error === undefined ? Effect.succeed(results) : Effect.fail(error)
  )

/** Reads all results in a run's folder, ordered by the names of their files. Fails with `NoResult` if one is damaged. */
export const read: (
  run: string
) => Effect.Effect<ReadonlyArray<Result>, ResultsError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.Results.read"
)((run) => readAll(run, Verb.literals, parse))

/**
 * Finds the run folder of a network, if it has one. `network` is the run folder itself, `RUN/STAGE`, or `RUN/stages/FILE`.
 */
export const runOf = Effect.fnUntraced(function*(network: string) {
  const { fs, path } = yield* Files.make
  const has = (folder: string, name: string) => Effect.orElseSucceed(fs.exists(path.join(folder, name)), () => false)
  const folders = [network, path.dirname(network), path.dirname(path.dirname(network))]
  return yield* Effect.findFirst(
    folders,
    (folder) =>
      Effect.andThen(has(folder, "config.json"), (there) => there ? has(folder, "stages") : Effect.succeed(false))
  )
})
