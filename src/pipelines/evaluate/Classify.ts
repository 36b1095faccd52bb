/** Applies a classifier to images, and measures its accuracy. */
import { Effect, Result } from "effect"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as ClassReport from "../../domain/evaluation/ClassReport.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type * as Classifier from "../trained/Classifier.ts"
import * as Logits from "./Logits.ts"

/** Computes the logits `[N, K]` of sets of images, row-major. */
export const classify = Effect.fn("patchword.classify")(
  function*(classifier: Classifier.Classifier, sets: ReadonlyArray<ImageSet>) {
    yield* Effect.annotateCurrentSpan("patchword.splits", sets.map(({ name }) => name))
    const classes = classifier.classes.length
    const logitsOf = yield* Logits.open(classifier, Logits.batchSize(...sets))
    return yield* Effect.forEach(sets, (set) => {
      const all = new Float32Array(set.length * classes)
      return Effect.as(
        logitsOf(set, (logits, [first = 0]) => Effect.sync(() => all.set(logits, first * classes))),
        all
      )
    })
  },
  Effect.scoped
)

/** The figures of a classifier on one set: the accuracy, the loss, and the accuracy of each class. */
export interface Examined {
  readonly figure: Accuracy.Accuracy
  readonly report: ClassReport.ClassReport
}

/**
 * Computes the accuracy of a classifier on sets of images, its loss, and the accuracy of each class, a few images at a time. Their classes are matched with its own by name. Fails with
 * `ClassesError` if labels are not classes or classes do not match, and as the engine and the images fail.
 */
export const examineClassifier = Effect.fn("patchword.evaluateClassifier")(function*(
  classifier: Classifier.Classifier,
  sets: ReadonlyArray<ImageSet>,
  rule: Classes.Rule = "same"
) {
  yield* Effect.annotateCurrentSpan({
    "patchword.splits": sets.map(({ name }) => name),
    "patchword.images": sets.reduce((sum, { length }) => sum + length, 0)
  })
  const learned = { name: "the classifier", classes: classifier.classes }
  const met = yield* Effect.fromResult(Result.all(sets.map((set) => Classes.meet(learned, set, rule))))
  const logitsOf = yield* Logits.open(classifier, Logits.batchSize(...sets))
  return yield* Effect.forEach(met, (test) => {
    const [accuracy, classes] = [Accuracy.tally(test), ClassReport.tally(test)]
    const add = (logits: Float32Array, places: ReadonlyArray<number>) =>
      Effect.sync(() => {
        accuracy.add(logits, places)
        classes.add(logits, places)
      })
    return Effect.map(logitsOf(test.set, add), (): Examined => ({
      figure: accuracy.figure(),
      report: classes.report()
    }))
  })
}, Effect.scoped)

/** Computes the accuracy of a classifier on sets of images, as {@link examineClassifier} does. */
export const evaluateClassifier = (
  classifier: Classifier.Classifier,
  sets: ReadonlyArray<ImageSet>,
  rule: Classes.Rule = "same"
) => Effect.map(examineClassifier(classifier, sets, rule), (examined) => examined.map(({ figure }) => figure))
