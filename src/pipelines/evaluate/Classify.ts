/** What a classifier thinks of images, and how well. */
import { Effect, Result } from "effect"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type * as Classifier from "../trained/Classifier.ts"
import * as Logits from "./Logits.ts"

/** What a classifier thinks of sets of images: logits `[N, K]` of each, row-major. */
export const classify = Effect.fn("patchword.classify")(
  function*(classifier: Classifier.Classifier, sets: ReadonlyArray<ImageSet>) {
    yield* Effect.annotateCurrentSpan("patchword.splits", sets.map(({ name }) => name))
    const classes = classifier.classes.length
    const logitsOf = yield* Logits.open(classifier)
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

/**
 * What a classifier reaches on sets of images, whose classes meet its own by name. Fails with `ClassesError` when labels are
 * none of the classes or classes do not meet, and as engine and images fail.
 */
export const evaluateClassifier = Effect.fn("patchword.evaluateClassifier")(function*(
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
  const logits = yield* classify(classifier, sets)
  return met.map((test, i) => Accuracy.measure(test, logits[i]!))
})
