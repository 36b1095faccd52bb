/**
 * Runs the ablations of the paper: all rows of a table in turn, under several seeds, over the stages. What rows share is computed
 * once. Every stage is a run of its own in the folder of the study, so that other programs can go on with it.
 *
 * | file | holds |
 * | --- | --- |
 * | `runs/STAGE-DIGEST/` | a run of one stage; see `Runs`. The digest is that of its settings |
 * | `stages/MEASURE-DIGEST.json` | a figure of a row, as soon as it is measured |
 * | `features/` | the teacher's features, if they are cached |
 * | `TABLE.json`, `TABLE.csv`, `TABLE.html` | the table, as far as it is measured |
 */
import { Effect, type FileSystem, type Layer, Option, type Path, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import { Preset } from "../../domain/config/Preset.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import type * as Ablation from "../../domain/study/Ablation.ts"
import * as StudyReport from "../../domain/study/StudyReport.ts"
import * as Json from "../../domain/values/Json.ts"
import type { Engine } from "../../layers/engine/Engine.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Progress from "../../layers/run/Progress.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Runs from "../../layers/run/Runs.ts"
import * as Teacher from "../../layers/teacher/Teacher.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import { cacheFeatures } from "../CacheFeatures.ts"
import { evaluateClassifier } from "../evaluate/Classify.ts"
import { measureTokenizer } from "../evaluate/Evaluate.ts"
import { features } from "../evaluate/Features.ts"
import { probe } from "../evaluate/Probe.ts"
import { finetune } from "../Finetune.ts"
import { pretrain } from "../Pretrain.ts"
import * as StudyPage from "../report/StudyPage.ts"
import type { Backbone } from "../trained/Backbone.ts"
import type { Tokenizer } from "../trained/Tokenizer.ts"
import * as OtherEncoder from "../training/OtherEncoder.ts"
import * as Stage from "../training/Stage.ts"
import type { Start } from "../training/Start.ts"
import { trainTokenizer } from "../TrainTokenizer.ts"
import * as StudyWork from "./StudyWork.ts"

/** A teacher of a study. */
export interface StudyTeacher<E> {
  /** The name in rows and in the folders of runs. */
  readonly name: string
  /** The kind. `clip` and `dino` have rows in the paper. */
  readonly kind: string
  /** The teacher for a row's configuration. */
  readonly layer: (preset: Preset) => Layer.Layer<Teacher.Teacher, E, Engine | Images>
  /** Its network, if a classifier can be trained from it. */
  readonly encoder?: Effect.Effect<OtherEncoder.OtherEncoder, E> | undefined
}

/** The options of a study. */
export interface StudyOptions<E> {
  /** The folder of the study. A study there that is not finished goes on. */
  readonly out: string
  readonly seeds: ReadonlyArray<number>
  /** The teachers. Tables 4 and 5 use the first one. */
  readonly teachers: ReadonlyArray<StudyTeacher<E>>
  /** The split for training; default `train`. */
  readonly split?: string
  /** The split of all figures; default `val`. */
  readonly test?: string
  /** The names of the rows to run; all when absent. */
  readonly rows?: ReadonlyArray<string> | undefined
  /** Compute the teacher's features once for all tokenizers of a seed, and keep them in the folder. */
  readonly cache?: boolean
  /** Steps between checkpoints; default 100. */
  readonly checkpointEvery?: number
}

/** Describes the teachers of a study to its tables. */
export const teachersOf = <E>(
  { teachers }: Pick<StudyOptions<E>, "teachers">
): ReadonlyArray<Ablation.Teacher> =>
  teachers.map(({ encoder, kind, name }) => ({ kind, name, isTrainable: encoder !== undefined }))

const Kept = Schema.Struct({ value: Schema.Finite })

const decodeKept = Schema.decodeUnknownOption(Kept)

/** The images of a study: the split that is learned from, and the one that is measured. */
interface Sets {
  readonly train: ImageSet
  readonly test: ImageSet
}

/** Measures the rows of a table, those that are not measured yet, and writes the table after each. */
const running = Effect.fnUntraced(function*<E>(
  table: Ablation.Ablation,
  base: Preset,
  sets: Sets,
  options: StudyOptions<E>
) {
  const { cache = false, checkpointEvery = 100, out, seeds, split = "train", teachers } = options
  const { test, train } = sets
  const { message } = yield* Progress.Progress
  const files = yield* Files.make
  const runs = yield* Runs.Runs
  const told = teachersOf(options)
  const rows = table.rows(base, told)
  const more = { split, checkpointEvery }

  const within = <A, E2, R2>({ config, folder }: StudyWork.Unit, self: Effect.Effect<A, E2, R2>) =>
    Effect.provide(self, Runs.layerNoDeps(`${out}/${folder}`, { config, stages: StudyWork.CHANGEABLE }), {
      local: true
    })

  /** Returns what a figure depends on. */
  const aboutOf = (work: StudyWork.Work, measure: Ablation.Measure): Json.Json => {
    const stage = measure === "finetune" ? "finetune" : measure === "probe" ? "pretrain" : "tokenizer"
    return {
      run: StudyWork.unit(work, stage)?.folder ?? null,
      train: train.digest,
      test: test.digest,
      ...(measure === "probe" ? { probe: Stage.toJson(ProbeConfig, work.preset.probe) } : {})
    }
  }
  const keyOf = (work: StudyWork.Work, measure: Ablation.Measure) => StudyWork.keyOf(measure, aboutOf(work, measure))
  const known = (work: StudyWork.Work, measure: Ablation.Measure) =>
    Effect.map(
      runs.result(keyOf(work, measure)),
      (found) => Option.map(Option.flatMap(found, decodeKept), ({ value }) => value)
    )
  const keep = (work: StudyWork.Work, measure: Ablation.Measure, value: number) =>
    runs.done(keyOf(work, measure), { value, measure, ...aboutOf(work, measure) as object })

  /** Runs an effect with the teacher of a row. */
  const taught = <A, E2>(
    work: StudyWork.Work,
    self: Effect.Effect<A, E2, Teacher.Teacher | Engine | Images | FileSystem.FileSystem | Path.Path>
  ) =>
    Effect.gen(function*() {
      const { layer, name } = teachers[work.row.teacher]!
      const own = layer(work.preset)
      if (!cache) return yield* Effect.provide(self, own, { local: true })
      const folder = `${out}/features/${name}-seed${work.seed}`
      yield* cacheFeatures(work.preset.tokenizer, folder, { split, dtype: "float32", central: [test.name] }).pipe(
        Effect.provide(own, { local: true })
      )
      return yield* Effect.provide(self, Teacher.layerCachedNoDeps(folder), { local: true })
    })

  // Rows in turn often share their tokenizer. One is held, not all of a study.
  let held: { readonly folder: string; readonly tokenizer: Tokenizer } | undefined
  const tokenizerOf = Effect.fnUntraced(function*(work: StudyWork.Work) {
    const unit = StudyWork.unit(work, "tokenizer")!
    if (held?.folder === unit.folder) return held.tokenizer
    held = undefined
    const tokenizer = yield* taught(work, within(unit, trainTokenizer(work.preset.tokenizer, more)))
    held = { folder: unit.folder, tokenizer }
    return tokenizer
  })

  const measured = Effect.fnUntraced(function*(work: StudyWork.Work) {
    const { preset, row } = work
    const wanted = new Map<Ablation.Measure, number | undefined>()
    for (const measure of table.measures) wanted.set(measure, Option.getOrUndefined(yield* known(work, measure)))
    const isMissing = (measure: Ablation.Measure) => wanted.has(measure) && wanted.get(measure) === undefined
    const found = Effect.fnUntraced(function*(measure: Ablation.Measure, value: number) {
      if (!isMissing(measure)) return
      yield* keep(work, measure, value)
      wanted.set(measure, value)
    })
    const save = Effect.fnUntraced(function*(
      unit: StudyWork.Unit,
      about: Omit<Results.About, "train">,
      figures: Parameters<typeof Results.make>[2]
    ) {
      const results = yield* Results.make({ ...about, train: train.digest }, [test], figures)
      yield* Results.save(`${out}/${unit.folder}`, results)
      return figures[0]!.top1
    })

    if (isMissing("reconstruction") || isMissing("usage")) {
      const tokenizer = yield* tokenizerOf(work)
      const figures = yield* taught(work, measureTokenizer(tokenizer, test))
      yield* found("reconstruction", figures.reconstruction)
      yield* found("usage", figures.usedShare)
    }
    if (!isMissing("probe") && !isMissing("finetune")) return Object.fromEntries(wanted) as StudyReport.Figures

    const start = Effect.fnUntraced(function*() {
      if (row.start === "teacher") return yield* teachers[row.teacher]!.encoder!
      const tokenizer = yield* tokenizerOf(work)
      if (row.start === "tokenizer") return OtherEncoder.ofTokenizer(tokenizer)
      return yield* within(StudyWork.unit(work, "pretrain")!, pretrain(preset.pretrain, tokenizer, more))
    })
    const from: Start = yield* start()
    if (isMissing("probe")) {
      const [seen, held] = yield* features(from as Backbone, [train, test], preset.probe)
      const { figures, l2 } = yield* probe(preset.probe, { train: seen!, tests: [held!] })
      const settings = { config: Stage.toJson(ProbeConfig, preset.probe), l2 }
      const weights = yield* Weights.digest(from.tensors)
      const unit = StudyWork.unit(work, "pretrain")!
      yield* found("probe", yield* save(unit, { verb: "probe", network: "pretrain", weights, settings }, figures))
    }
    if (isMissing("finetune")) {
      const unit = StudyWork.unit(work, "finetune")!
      const config = "encoder" in from ? yield* OtherEncoder.configOf(preset.finetune, from) : preset.finetune
      const classifier = yield* within(unit, finetune(config, from, more))
      const figures = yield* evaluateClassifier(classifier, [test])
      const settings = { config: Stage.toJson(FinetuneConfig, config) }
      const weights = yield* Weights.digest(classifier.tensors)
      yield* found("finetune", yield* save(unit, { verb: "finetune", network: "finetune", weights, settings }, figures))
    }
    return Object.fromEntries(wanted) as StudyReport.Figures
  })

  const knownOf = Effect.fnUntraced(function*(row: Ablation.Row, seed: number) {
    const work = yield* Effect.option(StudyWork.of(base, row, seed, told))
    if (Option.isNone(work)) return {}
    const found = yield* Effect.forEach(
      table.measures,
      (measure) => Effect.map(known(work.value, measure), (value) => [measure, value] as const)
    )
    return Object.fromEntries(
      found.flatMap(([measure, value]) => Option.isSome(value) ? [[measure, value.value]] : [])
    ) as StudyReport.Figures
  })

  const written = Effect.gen(function*() {
    const all = yield* Effect.forEach(
      rows,
      (row) =>
        Effect.map(Effect.forEach(seeds, (seed) => knownOf(row, seed)), (figures) => [row.name, figures] as const)
    )
    const report = StudyReport.make(table, rows, new Map(all), { seeds, train: train.digest, test: test.digest })
    const place = (ending: string) => `${out}/${table.name}.${ending}`
    const json = yield* Effect.orDie(Schema.encodeEffect(StudyReport.StudyReport)(report))
    yield* files.write(place("json"), `${JSON.stringify(json, null, 2)}\n`)
    yield* files.write(place("csv"), StudyReport.csv(report))
    yield* files.write(place("html"), StudyPage.render(report))
    return report
  })

  // All configurations are checked before hours of training.
  const works = yield* StudyWork.all(table, base, { seeds, teachers: told, rows: options.rows })
  for (const [i, work] of works.entries()) {
    const part = { name: `${table.name}/${work.row.name}, seed ${work.seed}`, number: i + 1, total: works.length }
    const folders = work.units.map(({ folder }) => folder)
    yield* message(`${part.name} (${part.number} of ${part.total}): ${folders.join(", ")}`)
    yield* Progress.inPart(part)(measured(work))
    yield* written
  }
  return yield* written
})

/**
 * Runs a table of ablations: each row under each seed, over the stages. It trains what is not trained yet, measures it on one
 * split, and writes the paper's table with the mean and the deviation over seeds. The table is written after each row. A study
 * that was interrupted or killed goes on where it stopped, and ends with the same bytes. Two tables in one folder share their runs.
 *
 * Fails with `ConfigError` for unknown rows and for rows that do not fit the base, with `OtherConfig` if the folder holds a study
 * of another base or of other images, and as the stages fail.
 */
export const study = Effect.fn("patchword.study")(
  function*<E>(table: Ablation.Ablation, given: Preset, options: StudyOptions<E>) {
    const base = yield* Config.check(Preset, "the preset")(given)
    const { out, seeds, split = "train", test: tested = "val" } = options
    yield* Stage.requireConfig("study", {
      seeds: [
        seeds.length === 0 || new Set(seeds).size < seeds.length || !seeds.every(Number.isSafeInteger),
        `expected whole numbers, each once, got ${seeds.join(", ")}`
      ]
    })
    yield* Effect.annotateCurrentSpan({ "patchword.run": out, "patchword.splits": [split, tested] })
    const { load } = yield* Images
    const [train, test] = yield* Effect.all([load(split), load(tested)])
    const config = { ...(Stage.toJson(Preset, base) as object), images: train.digest }
    return yield* running(table, base, { train, test }, options).pipe(
      Effect.provide(Runs.layerNoDeps(out, { config: config as Json.Json }), { local: true })
    )
  },
  Files.orNode
)
