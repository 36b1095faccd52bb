/** The robustness of classifiers and tokenizers: unusual and corrupted images. */
import { Effect, Option, RcMap, Result } from "effect"
import type { Corruption } from "../../domain/corruptions/Corruption.ts"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as ImageNetSubset from "../../domain/evaluation/ImageNetSubset.ts"
import * as Metrics from "../../domain/evaluation/Metrics.ts"
import type { CorruptedFigure } from "../../domain/evaluation/RobustnessReport.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import * as Corrupted from "../../layers/images/Corrupted.ts"
import type { ImagesError } from "../../layers/images/reading/ImagesError.ts"
import { type ImageSet, subset } from "../../layers/images/reading/ImageSet.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type { Classifier } from "../trained/Classifier.ts"
import type { Tokenizer } from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Encoder from "../training/Encoder.ts"
import * as Logits from "./Logits.ts"

/** A test: images, and their corruption. */
export interface Test {
  /** The name of the set in figures. */
  readonly name: string
  /** Loads the images. They are loaded when the test begins. */
  readonly load: Effect.Effect<ImageSet, ImagesError>
  readonly corruption?: Corruption | undefined
  /** True if the images of the files are corrupted already. They are views of the network: nothing is cropped. */
  readonly stored?: boolean | undefined
  /** The classes of the images, if they are one of ImageNet's subsets. Only these are possible answers. */
  readonly subset?: ImageNetSubset.Subset | undefined
}

/** The options of both evaluations. */
export interface RobustnessOptions {
  /** Random seed of the corruptions; default 0. */
  readonly seed?: number
  /** Pictures of frost, for the corruption `frost`. */
  readonly frost?: ReadonlyArray<Picture>
}

/** The options of a classifier's evaluation. */
export interface ClassifierOptions extends RobustnessOptions {
  /** The stage or file of the weights, for the results. */
  readonly network: string
  /** SHA-256 of the training images; empty if unknown. */
  readonly train: string
  /** A run folder. Each result is kept in it at once. Tests whose results it has are not run again. */
  readonly folder: Option.Option<string>
}

/** The result of a test. */
export interface Tested {
  readonly test: Test
  readonly result: Results.Result
  /** What its classes were matched by. */
  readonly matching: Matching
}

/**
 * The information that classes are matched by: their WordNet numbers, their names, or only the order of the WordNet numbers. A
 * figure by `order` is wrong if the classifier has its classes in another order.
 */
export type Matching = "numbers" | "names" | "order"

const ruleOf = (part: ImageNetSubset.Subset | undefined): Classes.Rule => part === undefined ? "fewer" : "subset"

const byNumbers = (
  [learned, given]: readonly [learned: ReadonlyArray<string>, given: ReadonlyArray<string>],
  set: ImageSet,
  part: ImageNetSubset.Subset | undefined
) =>
  Result.flatMap(
    Classes.meet({ name: "the classifier", classes: learned }, { ...set, classes: given }, ruleOf(part)),
    (met): Result.Result<Classes.Met<ImageSet>, Classes.ClassesError> => {
      const among = part && ImageNetSubset.places(learned, part)
      if (part === undefined || among === undefined) return Result.succeed(met)
      const allowed = new Set(among)
      const wanted = Array.from(among, (place) => learned[place]!)
      const unknown = [...new Set(met.labels)].filter((label) => !allowed.has(label)).map((label) => learned[label]!)
      return unknown.length === 0
        ? Result.succeed({ ...met, among })
        : Result.fail(
          new Classes.ClassesError({
            split: set.name,
            reason: new Classes.ClassesDiffer({ learned: part, wanted, given, unknown, missing: [] })
          })
        )
    }
  )

const match = (classifier: Classifier, set: ImageSet, part: ImageNetSubset.Subset | undefined) => {
  const [own, given] = [ImageNetSubset.numbersOf(classifier), ImageNetSubset.numbersOf(set)]
  const matched = (by: Matching, met: ReturnType<typeof byNumbers>) =>
    Effect.map(Effect.fromResult(met), (met) => ({ by, met }))
  if (own !== undefined && given !== undefined) return matched("numbers", byNumbers([own, given], set, part))
  const learned = { name: "the classifier", classes: classifier.classes }
  const known = new Set(classifier.classes)
  const ordered = set.classes.every((name) => known.has(name))
    ? undefined
    : ImageNetSubset.inOrder(set, classifier.classes, part)
  return matched(ordered === undefined ? "names" : "order", Classes.meet(learned, ordered ?? set, ruleOf(part)))
}

/**
 * Measures a classifier by several tests, one after another and a few images at a time. Classes are matched by their WordNet
 * numbers if the classifier and the images have them, otherwise by name. If the classifier has neither, the folders of ImageNet's
 * test sets are matched by the order of their WordNet numbers. A message then says so, and so does the result.
 *
 * Fails with `ClassesError` if classes do not match, with `ResultsError` if the folder cannot be read or written, and as the
 * engine and the images fail.
 */
export const robustness = Effect.fn("patchword.robustness")(
  function*(classifier: Classifier, tests: ReadonlyArray<Test>, options: ClassifierOptions) {
    yield* Effect.annotateCurrentSpan("patchword.splits", tests.map(({ name }) => name))
    const { folder, frost = [], network, seed = 0, train } = options
    const { config, tensors } = classifier
    const { message, report } = yield* Progress
    const { about: engine } = yield* Engine
    const computedOn = Json.canonical(ComputedOn.of(engine))
    const kept = Option.isNone(folder) ? [] : yield* Results.read(folder.value)
    // Sets are loaded one after another, and mostly have one size.
    const opened = yield* RcMap.make({ lookup: (images: number) => Logits.open(classifier, images) })
    const weights = yield* Weights.digest(tensors)
    const told = new Set<string>()
    return yield* Effect.forEach(
      tests,
      Effect.fnUntraced(function*(test, index) {
        const { corruption, load, name, stored = false, subset: part } = test
        const loaded = { ...(yield* load), name }
        const made = corruption !== undefined && !stored
        const set = made
          ? Corrupted.of(loaded, { corruption, size: config.vit.imageSize, augment: config.augment, seed, frost })
          : corruption === undefined
          ? loaded
          : { ...loaded, name: `${name}/${corruption.kind}/${corruption.severity}` }
        const { by: matching, met } = yield* match(classifier, set, part)
        if (matching === "order" && !told.has(name)) {
          told.add(name)
          yield* message(
            `${name}: the classifier keeps no WordNet numbers of its classes. Its ${classifier.classes.length} classes are taken to ` +
              "be in the order of these numbers. If they are not, the figure is wrong: fine-tune it again with synsets"
          )
        }
        const settings = {
          matching,
          corruption: corruption === undefined ? null : { ...corruption, stored },
          subset: part ?? null,
          ...(made ? { seed } : {})
        }
        const before = kept.find((one) =>
          one.verb === "robustness" && one.network === network && one.split === set.name &&
          one.digests.weights === weights && one.digests.images === set.digest &&
          Json.canonical(one.settings) === Json.canonical(settings) && Json.canonical(one.computedOn) === computedOn
        )
        const done = (result: Results.Result) =>
          Effect.as(
            report({ stage: "robustness", step: index + 1, total: tests.length, metrics: { top1: result.top1 } }),
            { test, result, matching } satisfies Tested
          )
        if (before !== undefined) return yield* done(before)
        const { add, figure } = Accuracy.tally(met)
        const logitsOf = yield* RcMap.get(opened, Logits.batchSize(met.set))
        yield* logitsOf(
          met.set,
          (logits, places) => Effect.sync(() => add(logits, places)),
          corruption === undefined ? config.augment : Corrupted.uncropped(config)
        )
        const about = { verb: "robustness", network, weights, train, settings, vit: config.vit } as const
        const [result] = yield* Results.make(about, [set], [figure()])
        if (Option.isSome(folder)) yield* Results.save(folder.value, [result!])
        return yield* done(result!)
      })
    )
  },
  Effect.scoped
)

/** Number of images whose clean codes are held in memory. */
const CHUNK = 64

/**
 * Measures the share of a tokenizer's codes that change when its images are corrupted. It takes a few images at a time through
 * all corruptions. Fails as `encode` does.
 */
export const changedCodes = Effect.fn("patchword.changedCodes")(
  function*(
    tokenizer: Tokenizer,
    set: ImageSet,
    corruptions: ReadonlyArray<Corruption>,
    options: RobustnessOptions = {}
  ) {
    yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
    const { augment, encoder: { imageSize: size, patches } } = tokenizer.config
    const { report } = yield* Progress
    const batchSize = Batches.fitting(CHUNK, set)
    const codesOf = yield* Encoder.open(tokenizer, set, batchSize)
    const encoded = (images: ImageSet, start: number, views: typeof augment) =>
      Batches.evaluation(
        { set: images, batchSize, size, augment: views },
        ({ indices, unit, valid }) =>
          Effect.map(
            codesOf({ indices: indices.map((index) => index + start), unit }, valid),
            (codes) => codes.slice(0, valid * patches)
          )
      )
    const corrupted = corruptions.map((corruption) => ({
      corruption,
      images: Corrupted.of(set, { corruption, size, augment, ...options })
    }))
    const changed = corruptions.map(() => 0)
    for (let start = 0; start < set.length; start += CHUNK) {
      const places = Array.from({ length: Math.min(CHUNK, set.length - start) }, (_, i) => start + i)
      const [clean] = yield* encoded(subset(set, places), start, augment)
      for (const [at, { images }] of corrupted.entries()) {
        const [codes] = yield* encoded(subset(images, places), start, Corrupted.uncropped({ augment }))
        changed[at]! += codes!.reduce((sum, code, i) => sum + (code === clean![i] ? 0 : 1), 0)
      }
      yield* report({ stage: "robustness", step: start + places.length, total: set.length, metrics: {} })
    }
    const total = set.length * patches
    return corruptions.map((corruption, at): CorruptedFigure => ({
      ...corruption,
      images: set.length,
      share: total === 0 ? 0 : changed[at]! / total,
      interval: Metrics.interval(changed[at]!, total)
    }))
  },
  Effect.scoped
)
