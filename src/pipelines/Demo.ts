/**
 * The whole method in one program: tokenizer, pretraining, evaluation, report. `npm start` runs it. It also shows the
 * composition of stages: each takes the value of the one before it.
 */
import { Effect, Option, Schema } from "effect"
import * as Config from "../domain/config/Config.ts"
import { FinetuneConfig } from "../domain/config/FinetuneConfig.ts"
import { KnnConfig } from "../domain/config/KnnConfig.ts"
import { Preset } from "../domain/config/Preset.ts"
import { ProbeConfig } from "../domain/config/ProbeConfig.ts"
import * as Accuracy from "../domain/evaluation/Accuracy.ts"
import * as Classes from "../domain/evaluation/Classes.ts"
import * as DemoExpectations from "../domain/evaluation/DemoExpectations.ts"
import * as Metrics from "../domain/evaluation/Metrics.ts"
import * as Report from "../domain/evaluation/Report.ts"
import * as ComputedOn from "../domain/values/ComputedOn.ts"
import type * as Json from "../domain/values/Json.ts"
import { version } from "../domain/values/Version.ts"
import { Engine } from "../layers/engine/Engine.ts"
import { Images } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import * as CompletionSample from "../layers/run/CompletionSample.ts"
import * as FidelityResults from "../layers/run/FidelityResults.ts"
import { Progress } from "../layers/run/Progress.ts"
import * as Results from "../layers/run/Results.ts"
import { type Row, Runs } from "../layers/run/Runs.ts"
import { Teacher } from "../layers/teacher/Teacher.ts"
import * as Weights from "../layers/weights/Weights.ts"
import { atlas } from "./atlas/BuildAtlas.ts"
import * as CompletionView from "./completion/CompletionView.ts"
import * as Sampled from "./completion/Sampled.ts"
import { diagnoseOn } from "./doctor/Diagnose.ts"
import { classify, evaluateClassifier } from "./evaluate/Classify.ts"
import { type EncodedImage, evaluatePretraining, evaluateTokenizer, type PredictedImage } from "./evaluate/Evaluate.ts"
import { type FeatureOptions, features } from "./evaluate/Features.ts"
import { knn } from "./evaluate/Knn.ts"
import type { Network } from "./evaluate/NetworkRows.ts"
import { probe } from "./evaluate/Probe.ts"
import { finetune } from "./Finetune.ts"
import { pretrain } from "./Pretrain.ts"
import * as CodeRows from "./report/CodeRows.ts"
import * as ReportPage from "./report/ReportPage.ts"
import { trainDecoder } from "./TrainDecoder.ts"
import * as Backbone from "./trained/Backbone.ts"
import type { Classifier } from "./trained/Classifier.ts"
import * as Stage from "./training/Stage.ts"
import { timed } from "./training/Timed.ts"
import { trainTokenizer } from "./TrainTokenizer.ts"

/** The held-out sets: new concepts in the styles of training, new concepts in new styles, known concepts in new styles. */
const TESTS = ["in-new", "flat-new", "3d-new", "flat-seen", "3d-seen"] as const

/** Number of completed images that the run keeps and the report shows. */
const COMPLETED = 8

/** The most images that the doctor looks at. */
const EXAMINED = 512

/** The options of the demo in addition to its configuration. */
export interface DemoOptions {
  /** The name of the configuration, for the report. */
  readonly preset: string
  /** The subject of the images, for the report; default `emoji`. */
  readonly subject?: string
  readonly credits?: ReadonlyArray<ReportPage.Credit>
}

const curve = (
  rows: ReadonlyArray<Row>,
  stage: string,
  metric: string,
  extra: Partial<ReportPage.Curve> = {}
): ReportPage.Curve => {
  const own = rows.filter((row) => row.stage === stage && typeof row[metric] === "number")
  return { stage, metric, ...extra, steps: own.map((row) => row.step), values: own.map((row) => Number(row[metric])) }
}

const spaced = (length: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: Math.min(length, count) }, (_, i) => Math.floor(i * length / Math.min(length, count)))

const codedImages = (set: ImageSet, preset: Preset, encoded: ReadonlyArray<EncodedImage>) =>
  Effect.forEach(spaced(set.length, 12), (index) =>
    Effect.map(set.image(index), (picture): ReportPage.CodedImage => ({
      name: set.describe(index),
      picture,
      grid: preset.tokenizer.encoder.grid,
      codes: encoded[index]!.codes,
      cosine: encoded[index]!.cosine
    })))

const maskedImages = (set: ImageSet, preset: Preset, predicted: ReadonlyArray<PredictedImage>) =>
  Effect.forEach(spaced(set.length, 9), (index) =>
    Effect.map(set.image(index), (picture): ReportPage.MaskedImage => ({
      name: set.describe(index),
      picture,
      grid: preset.pretrain.vit.grid,
      ...predicted[index]!
    })))

/**
 * Runs every stage that the run has not finished, evaluates, and writes `report.json` and `report.html`.
 *
 * Fails as its stages fail.
 */
export const demo = Effect.fn("patchword.demo")(function*(given: Preset, options: DemoOptions) {
  const preset = yield* Config.check(Preset, "the preset")(given)
  const { credits = [], preset: name, subject = "emoji" } = options
  const engine = yield* Engine
  const runs = yield* Runs
  yield* Effect.annotateCurrentSpan({ "patchword.engine": engine.name, "patchword.preset": name })
  const teacher = yield* Teacher
  const progress = yield* Progress
  const { load } = yield* Images
  const sets = yield* timed(
    "images",
    Effect.forEach(
      ["train", "val", ...TESTS] as const,
      (split) => Effect.map(load(split), (set) => [split, set] as const)
    )
  )
  const setOf = new Map(sets.value)
  const set = (split: Report.Split): ImageSet => setOf.get(split)!
  const tests = TESTS.map(set)
  const { classes } = set("train")
  const keep = Effect.fnUntraced(function*(
    about: Pick<Results.About, "network" | "verb" | "weights">,
    figures: ReadonlyArray<Accuracy.Accuracy>,
    settings: Json.Json
  ) {
    if (Option.isNone(runs.directory)) return
    const results = yield* Results.make({ ...about, train: set("train").digest, settings }, tests, figures)
    yield* Results.save(runs.directory.value, results)
  })

  const tokenizer = yield* timed("tokenizer", trainTokenizer(preset.tokenizer))
  const backbone = yield* timed("pretrain", pretrain(preset.pretrain, tokenizer.value))
  const random = Backbone.untrained(preset.pretrain, tokenizer.value.config.codebook.size)

  const coded = yield* timed(
    "evaluation",
    Effect.gen(function*() {
      yield* progress.message("evaluating the tokenizer and the pretrained network")
      const vocabulary = yield* evaluateTokenizer(tokenizer.value, set("in-new"))
      const masked = yield* evaluatePretraining(backbone.value, vocabulary.images, set("in-new"))
      if (Option.isSome(runs.directory)) {
        yield* atlas(tokenizer.value, set("in-new"), runs.directory.value).pipe(
          Effect.catchIf(
            (error) => error._tag === "AtlasError" && error.reason._tag === "OtherAtlas",
            () => progress.message("the run has the atlas of other images, which is kept")
          )
        )
        yield* progress.message("examining the health of the run")
        const { stages } = yield* diagnoseOn(runs.directory.value, set("in-new"), { most: EXAMINED })
        for (const { findings, stage } of stages) {
          yield* Effect.forEach(findings, ({ title }) => progress.message(`the doctor says of ${stage}: ${title}`))
        }
      }

      const frozen = Effect.fnUntraced(function*(name: string, network: Network) {
        const bankOf = (options: FeatureOptions) =>
          Effect.map(
            features(network, [set("train"), set("val"), ...tests], options),
            ([train, validation, ...held]) => ({ train: train!, validation: validation!, tests: held })
          )
        const bank = yield* bankOf(preset.probe)
        const same = preset.knn.pooling === preset.probe.pooling && preset.knn.finalNorm === preset.probe.finalNorm
        const near = same ? bank : yield* bankOf(preset.knn)
        const { figures, ...choice } = yield* probe(preset.probe, bank)
        const known = yield* knn(preset.knn, near.train, near.tests)
        const weights = yield* Weights.digest(network.tensors)
        const { chosenOn = null, l2 } = choice
        yield* keep({ verb: "probe", network: name, weights }, figures, {
          config: Stage.toJson(ProbeConfig, preset.probe),
          l2,
          chosenOn
        })
        yield* keep({ verb: "knn", network: name, weights }, known, { config: Stage.toJson(KnnConfig, preset.knn) })
        return { probe: figures, knn: known }
      })
      yield* progress.message("probing frozen features")
      return {
        vocabulary,
        masked,
        random: yield* frozen("random", random),
        tokenizer: yield* frozen("tokenizer", tokenizer.value),
        pretrained: yield* frozen("pretrain", backbone.value)
      }
    })
  )
  const { masked, vocabulary } = coded.value

  const { decoder: drawing } = preset
  const completion = drawing && (yield* timed(
    "completion",
    Effect.gen(function*() {
      const decoder = yield* trainDecoder(drawing, tokenizer.value)
      yield* progress.message("completing masked images")
      const networks = { backbone: backbone.value, decoder, tokenizer: tokenizer.value }
      const sampled = yield* Sampled.of(networks, set("in-new"), { count: COMPLETED })
      if (Option.isSome(runs.directory)) {
        const result = yield* Sampled.result(set("in-new"), sampled, "pretrain", {})
        yield* FidelityResults.save(runs.directory.value, [result])
        yield* CompletionSample.save(runs.directory.value, Sampled.sample(sampled, COMPLETED))
      }
      return sampled
    })
  ))

  const scratch = yield* timed("finetune-random", finetune(preset.finetune, undefined, { stage: "finetune-random" }))
  const tuned = yield* timed(
    "finetune-pretrained",
    finetune(preset.finetune, backbone.value, { stage: "finetune-pretrained" })
  )
  const tested = Effect.fnUntraced(function*(name: string, classifier: Classifier) {
    const figures = yield* evaluateClassifier(classifier, tests)
    const config = Stage.toJson(FinetuneConfig, preset.finetune)
    yield* keep({ verb: "finetune", network: name, weights: yield* Weights.digest(classifier.tensors) }, figures, {
      config
    })
    return figures
  })
  const tunedRandom = yield* tested("finetune-random", scratch.value)
  const tunedPretrained = yield* tested("finetune-pretrained", tuned.value)
  const [logits] = yield* classify(tuned.value, [set("in-new")])

  const scores = (index: number): Report.Scores => ({
    probe: {
      random: coded.value.random.probe[index]!.top1,
      tokenizer: coded.value.tokenizer.probe[index]!.top1,
      pretrained: coded.value.pretrained.probe[index]!.top1
    },
    knn: {
      random: coded.value.random.knn[index]!.top1,
      tokenizer: coded.value.tokenizer.knn[index]!.top1,
      pretrained: coded.value.pretrained.knn[index]!.top1
    },
    finetune: { random: tunedRandom[index]!.top1, pretrained: tunedPretrained[index]!.top1 }
  })
  const stages = {
    images: sets,
    tokenizer,
    pretrain: backbone,
    evaluation: coded,
    ...(completion && { completion }),
    "finetune from random": scratch,
    "finetune from pretrained": tuned
  }
  const rows = yield* runs.readLog
  const computed = yield* runs.computedOn
  // Where there were several, the present one is not all.
  const engines = computed.length > 1 ? computed.map(ComputedOn.show).join(", then ") : engine.name
  const steps = rows.filter((row) => row.stage === "pretrain").length
  const [first, ...others] = classes as [string, ...Array<string>]
  const report: Report.Report = {
    preset: name,
    seed: preset.pretrain.seed,
    engine: engines,
    tokenizer: {
      cosine: vocabulary.cosine,
      usage: vocabulary.usage,
      codebookSize: preset.tokenizer.codebook.size,
      perplexity: vocabulary.perplexity
    },
    pretrain: { maskedAccuracy: masked.maskedAccuracy, majority: masked.majority, steps, loss: masked.loss },
    ...scores(0),
    rendition: { flat: scores(1), "3d": scores(2) },
    renditionSeen: { flat: scores(3), "3d": scores(4) },
    majority: Accuracy.largestClass(set("in-new")),
    classes: [first, ...others],
    counts: {
      train: set("train").length,
      val: set("val").length,
      "in-new": set("in-new").length,
      "flat-new": set("flat-new").length,
      "3d-new": set("3d-new").length,
      "flat-seen": set("flat-seen").length,
      "3d-seen": set("3d-seen").length
    },
    seconds: Object.fromEntries(Object.entries(stages).map(([stage, { seconds }]) => [stage, seconds])),
    expected: name === "tiny"
      ? { figures: DemoExpectations.figures, curves: DemoExpectations.curves }
      : { figures: [], curves: [] }
  }

  const held = set("in-new")
  const pictures = yield* Effect.forEach(
    vocabulary.images,
    ({ codes, cosines }, index) =>
      Effect.map(held.image(index), (picture): CodeRows.Encoded => ({ picture, codes, cosines }))
  )
  const shown = CodeRows.make(pictures, {
    patch: preset.tokenizer.encoder.patchSize,
    size: preset.tokenizer.codebook.size,
    rows: 16,
    patches: 12
  })
  const { labels } = yield* Effect.fromResult(Classes.meet(set("train"), held))
  const confusion = Metrics.confusion(Metrics.predictions(logits!, classes.length), labels, classes.length)
  const page: ReportPage.PageData = {
    subject,
    curves: [
      curve(rows, "tokenizer", "loss"),
      curve(rows, "tokenizer", "cosine"),
      curve(rows, "pretrain", "loss_1"),
      curve(rows, "pretrain", "accuracy_1"),
      { ...curve(rows, "finetune-random", "accuracy"), stage: "finetune", run: "from random", baseline: true },
      { ...curve(rows, "finetune-pretrained", "accuracy"), stage: "finetune", run: "from pretrained" }
    ],
    codebook: [curve(rows, "tokenizer", "usage"), curve(rows, "tokenizer", "perplexity")],
    codes: shown.rows,
    plain: shown.plain,
    means: shown.means,
    coded: yield* codedImages(held, preset, vocabulary.images),
    masked: yield* maskedImages(held, preset, masked.images),
    ...(completion && { completion: CompletionView.render(Sampled.sample(completion.value, COMPLETED)) }),
    confusion: {
      evaluation: "fine-tuned from pretrained weights, new concepts in the styles of training",
      counts: classes.map((_, row) => Array.from(confusion.subarray(row * classes.length, (row + 1) * classes.length)))
    },
    results: Option.isNone(runs.directory) ? [] : yield* Results.read(runs.directory.value),
    credits,
    provenance: [
      ["patchword", version],
      ["engine", engines],
      ["teacher", `${teacher.name} ${teacher.digest.slice(0, 12)}`],
      ["training images", `${set("train").length}, ${set("train").digest.slice(0, 12)}`],
      ["tokenizer", (yield* Weights.digest(tokenizer.value.tensors)).slice(0, 12)],
      ["backbone", (yield* Weights.digest(backbone.value.tensors)).slice(0, 12)]
    ],
    config: Stage.toJson(Preset, preset)
  }
  yield* runs.writeReport(
    yield* Effect.orDie(Schema.encodeEffect(Report.Report)(report)),
    yield* ReportPage.render(report, page)
  )
  return report
}, Effect.scoped)
