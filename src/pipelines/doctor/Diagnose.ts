/** The diagnosis of a run: reads its log, weights and checkpoints, and looks at images where they are given. */
import { Effect } from "effect"
import type { Figures } from "../../domain/health/Diagnosis.ts"
import * as HealthFigure from "../../domain/health/HealthFigure.ts"
import * as HealthReport from "../../domain/health/HealthReport.ts"
import * as LogFigures from "../../domain/health/LogFigures.ts"
import { version } from "../../domain/values/Version.ts"
import type { Engine } from "../../layers/engine/Engine.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type * as Quantizer from "../../nn/tokenizer/Quantizer.ts"
import type * as Tokenizer from "../trained/Tokenizer.ts"
import * as CodebookFigures from "./CodebookFigures.ts"
import * as HealthFile from "./HealthFile.ts"
import * as ImageFigures from "./ImageFigures.ts"
import * as RunState from "./RunState.ts"

const ON_IMAGES: ReadonlySet<HealthFigure.Name> = new Set([
  "usedShare",
  "deadCodes",
  "rareShare",
  "topShare",
  "entropy",
  "perplexityShare",
  "norm",
  "normSpread",
  "positionShare",
  "positionPerplexity",
  "vectorRank",
  "tokenSimilarity",
  "tokenSpread",
  "featureRank"
])

const measured = (
  figures: Figures,
  on: string | ((name: HealthFigure.Name) => string)
): ReadonlyArray<HealthReport.Measured> =>
  Object.entries(figures).map(([key, value]) => {
    const name = key as HealthFigure.Name
    return { name, value, on: typeof on === "string" ? on : on(name) }
  })

/** Joins measurements. Of two of the same figure, the first one counts. */
const joined = (all: ReadonlyArray<HealthReport.Measured>, order: ReadonlyArray<HealthFigure.Name>) =>
  order.flatMap((name) => all.find((one) => one.name === name) ?? [])

/** Says why figures are missing, by reason. */
const missing = (
  names: ReadonlyArray<HealthFigure.Name>,
  found: ReadonlyArray<HealthReport.Measured>,
  why: (name: HealthFigure.Name) => string
): ReadonlyArray<HealthReport.Missing> => {
  const absent = names.filter((name) => !found.some((one) => one.name === name))
  return Array.from(Map.groupBy(absent, why), ([why, figures]) => ({ figures, why }))
}

type Rows = ReadonlyArray<LogFigures.Row>

/** The facts about a state for its health. */
const aboutOf = Effect.fnUntraced(function*(
  { finished, network, stage, step }: RunState.RunState,
  rows: Rows,
  notes: ReadonlyArray<string> = []
) {
  const last = rows.at(-1)?.["step"]
  const all = typeof last === "number" && last !== step
    ? [
      ...notes,
      `the weights are of step ${step}, and the log ends at step ${last}: figures of the two are of different states`
    ]
    : notes
  return {
    stage,
    step,
    finished,
    // A stage that trains has other weights soon.
    ...(finished ? { weights: yield* Weights.digest(network.tensors) } : {}),
    ...(all.length > 0 ? { notes: all } : {})
  }
})

/** The looks at images that a diagnosis takes. Without images there is none. */
interface Looks<E, R> {
  readonly tokenizer: (
    tokenizer: Tokenizer.Tokenizer,
    before: Tokenizer.Tokenizer | undefined
  ) => Effect.Effect<Figures, E, R>
  readonly backbone: (
    backbone: Extract<RunState.RunState["network"], { _tag: "Backbone" }>
  ) => Effect.Effect<Figures, E, R>
  /** What it looks at; undefined without images. */
  readonly on: string | undefined
  readonly quantizer: Quantizer.Named | undefined
}

const ofTokenizer = Effect.fnUntraced(function*<E, R>(
  state: RunState.RunState,
  model: Extract<RunState.RunState["network"], { _tag: "Tokenizer" }>,
  rows: Rows,
  looks: Looks<E, R>
) {
  const { before, step } = state
  const { config, tensors } = model
  const { codebook, encoder, optimizer } = config
  const isOwn = codebook.quantizer?.kind === "own"
  const given = isOwn && looks.quantizer !== undefined ? { quantizer: looks.quantizer } : {}
  const tokenizer: Tokenizer.Tokenizer = { ...model, ...given }
  const canLook = looks.on !== undefined && (!isOwn || looks.quantizer !== undefined)
  const seen = canLook
    ? yield* looks.tokenizer(tokenizer, before && { ...tokenizer, tensors: before.tensors })
    : {}
  yield* Pauses.pause
  const now = CodebookFigures.codebookOf(tensors)
  const vectors = now === undefined
    ? {}
    : yield* Pauses.during(
      CodebookFigures.ofVectors(config, now, before && CodebookFigures.codebookOf(before.tensors))
    )
  yield* Pauses.pause
  const running = CodebookFigures.ofRunningCounts(config, tensors) ?? {}
  const logged = LogFigures.ofTokenizer(rows, Math.min(codebook.size, optimizer.batchSize * encoder.patches))
  const states = before === undefined ? "" : `steps ${before.step} and ${step}`
  const { churn, ...others } = seen
  const { stillShare, ...still } = vectors
  const found = joined([
    ...measured(others, looks.on ?? ""),
    ...measured(churn === undefined ? {} : { churn }, `${looks.on}, ${states}`),
    ...measured(still, "the weights"),
    ...measured(stillShare === undefined ? {} : { stillShare }, `the weights, ${states}`),
    ...measured(running, "the running counts in the weights"),
    ...measured(logged, (name) => LogFigures.stepsOf(name, rows))
  ], HealthFigure.TOKENIZER)
  const why = (name: HealthFigure.Name): string => {
    if (now === undefined && (name === "codebookRank" || name === "quantizationError" || name === "stillShare")) {
      return "the quantizer has no codebook of vectors"
    }
    if (before === undefined && (name === "churn" || name === "stillShare")) {
      return "no checkpoint before this state is kept"
    }
    if (ON_IMAGES.has(name) || name === "churn" || name === "quantizationError") {
      return looks.on === undefined
        ? "these need images (--images)"
        : "the quantizer was given in code, and is not there to be asked"
    }
    if (name === "cosineBest" && rows.length >= LogFigures.FEWEST) {
      return "the training is at its beginning, and these need more steps since the warmup"
    }
    return `the log has ${rows.length} rows of the stage, and these need ${LogFigures.FEWEST} with such columns`
  }
  const about = { ...yield* aboutOf(state, rows), missing: missing(HealthFigure.TOKENIZER, found, why) }
  return HealthReport.ofTokenizer(about, config, found)
})

/** A tokenizer of the run. */
interface Held {
  readonly stage: string
  /** SHA-256 of its weights; undefined while it trains. */
  readonly weights: string | undefined
  readonly chance: LogFigures.Chance | undefined
}

const short = (digest = "not finished"): string => digest.slice(0, 12)

/** Says that the run has tokenizers, but not the one that a network was trained on. */
const otherTokenizer = (taughtBy: string | undefined, held: ReadonlyArray<Held>): ReadonlyArray<string> =>
  taughtBy === undefined || held.length === 0 || held.some(({ weights }) => weights === taughtBy) ? [] : [
    `the run does not have the tokenizer that the network was trained on (SHA-256 ${short(taughtBy)}; the run has ${
      held.map(({ stage, weights }) => `${stage} ${short(weights)}`).join(", ")
    }), so its codes count as evenly used`
  ]

const ofBackbone = Effect.fnUntraced(function*<E, R>(
  state: RunState.RunState,
  model: Extract<RunState.RunState["network"], { _tag: "Backbone" }>,
  rows: Rows,
  held: ReadonlyArray<Held>,
  looks: Looks<E, R>
) {
  const { taughtBy } = state
  const seen = looks.on === undefined ? {} : yield* looks.backbone(model)
  const chance = taughtBy === undefined ? undefined : held.find(({ weights }) => weights === taughtBy)?.chance
  // Evenly used codes have the most entropy and the least top share. So no network is accused that the true ones would not accuse.
  const even = { entropy: Math.log(model.codes), topShare: 1 / model.codes }
  const found = joined([
    ...measured(seen, looks.on ?? ""),
    ...measured(
      LogFigures.ofBackbone(rows, chance ?? even),
      (name) => `${LogFigures.stepsOf(name, rows)}${chance === undefined ? ", even codes" : ""}`
    )
  ], HealthFigure.BACKBONE)
  const why = (name: HealthFigure.Name): string =>
    ON_IMAGES.has(name)
      ? "these need images (--images)"
      : `the log has ${rows.length} rows of the stage, and these need ${LogFigures.FEWEST_OF_PRETRAINING} with such columns`
  const notes = otherTokenizer(taughtBy, held)
  const about = { ...yield* aboutOf(state, rows, notes), missing: missing(HealthFigure.BACKBONE, found, why) }
  return HealthReport.ofBackbone(about, model.config, found)
})

const examined = Effect.fnUntraced(
  function*<E, R>(run: string, images: HealthReport.HealthReport["images"], looks: Looks<E, R>) {
    yield* Effect.annotateCurrentSpan("patchword.run", run)
    const log = yield* RunState.readLog(run)
    const held: Array<Held> = []
    const stages = yield* RunState.each(
      run,
      Effect.fnUntraced(function*(state: RunState.RunState) {
        const rows = log.get(state.stage) ?? []
        const { network } = state
        const health: HealthReport.StageHealth = network._tag === "Tokenizer"
          ? yield* ofTokenizer(state, network, rows, looks)
          : yield* ofBackbone(state, network, rows, held, looks)
        const seen: Figures = Object.fromEntries(health.figures.map(({ name, value }) => [name, value]))
        // Running counts are of the images of the training, as the log of the pretraining is.
        if (network._tag === "Tokenizer") {
          const { entropy, topShare } = CodebookFigures.ofRunningCounts(network.config, network.tensors) ?? seen
          const chance = entropy === undefined || topShare === undefined ? undefined : { entropy, topShare }
          held.push({ stage: state.stage, weights: health.weights, chance })
        }
        return health
      })
    )
    const report: HealthReport.HealthReport = {
      version: 1,
      patchword: version,
      ...(images === undefined ? {} : { images }),
      stages
    }
    yield* HealthFile.save(run, report)
    return report
  }
)

const NOTHING: Looks<never, never> = {
  tokenizer: () => Effect.succeed({}),
  backbone: () => Effect.succeed({}),
  on: undefined,
  quantizer: undefined
}

/**
 * Diagnoses a run from its log, weights and checkpoints alone, and keeps the report in the run. It computes nothing on an engine.
 * The report lists the figures that need images.
 *
 * Fails with `NoRun` or {@link RunState.NothingToExamine} if there is nothing to examine, and with the errors of damaged files.
 */
export const diagnose = Effect.fn("patchword.diagnose")(function*(run: string) {
  return yield* examined(run, undefined, NOTHING)
})

/** The errors of looks at images. */
type LookError =
  | Effect.Error<ReturnType<typeof ImageFigures.ofTokenizer>>
  | Effect.Error<ReturnType<typeof ImageFigures.ofBackbone>>

/** The options of a diagnosis on images. */
export interface DiagnoseOptions {
  /** The most images to look at; default 1024. They are spread evenly over the set. */
  readonly most?: number
  /** The quantizer of the tokenizer, if it was given in code. */
  readonly quantizer?: Quantizer.Named
}

/**
 * Diagnoses a run like {@link diagnose}, and also looks at images: their codes, their vectors, and their features.
 *
 * Fails as {@link diagnose} does, and as the engine and the images fail.
 */
export const diagnoseOn = Effect.fn("patchword.diagnoseOn")(function*(
  run: string,
  set: ImageSet.ImageSet,
  options: DiagnoseOptions = {}
) {
  const { most = 1024, quantizer } = options
  const count = Math.min(most, set.length)
  const some = ImageSet.subset(set, Array.from({ length: count }, (_, i) => Math.floor(i * set.length / count)))
  const looks: Looks<LookError, Engine> = {
    tokenizer: (tokenizer, before) => ImageFigures.ofTokenizer(tokenizer, before, some),
    backbone: (backbone) => ImageFigures.ofBackbone(backbone, some),
    on: `${count} images of ${set.name}`,
    quantizer
  }
  const images = { split: set.name, images: count, of: set.length, digest: some.digest }
  return yield* examined(run, images, looks)
})
