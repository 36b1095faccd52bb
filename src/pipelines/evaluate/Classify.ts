/** What a classifier thinks of images, and how well. */
import { Effect, Result } from "effect"
import * as Accuracy from "../../domain/evaluation/Accuracy.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as FinetuneStep from "../../nn/finetune/FinetuneStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Classifier from "../trained/Classifier.ts"
import * as Inference from "../trained/Inference.ts"
import * as Batches from "../training/Batches.ts"
import * as Outputs from "../training/Outputs.ts"

const BATCH = 128

/** What a classifier thinks of sets of images: logits `[N, K]` of each, row-major. */
export const classify = Effect.fn("patchword.classify")(
  function*(classifier: Classifier.Classifier, sets: ReadonlyArray<ImageSet>) {
    yield* Effect.annotateCurrentSpan("patchword.splits", sets.map(({ name }) => name))
    const { classes, config } = classifier
    const inference = FinetuneStep.logits(Classifier.sizes(config, classes.length), Dim.named("batch", BATCH))
    const handle = yield* Inference.open(inference, Classifier.weights(classifier))
    return yield* Effect.forEach(sets, (set) =>
      Effect.map(
        Batches.evaluation(
          { set, batchSize: BATCH, size: config.vit.imageSize, augment: config.augment },
          Effect.fnUntraced(function*({ indices, normalised, valid }) {
            const { logits } = yield* handle.run({
              images: HostTensor.make(inference.batch.images.shape, "float32", normalised.data)
            })
            yield* Outputs.checkFinite("logits", logits.data, {
              rows: BATCH,
              valid,
              describe: (row) => set.describe(indices[row]!)
            })
            return Array.from(logits.data.subarray(0, valid * classes.length))
          })
        ),
        (parts) => Float32Array.from(parts.flat())
      ))
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
  yield* Effect.annotateCurrentSpan("patchword.splits", sets.map(({ name }) => name))
  const learned = { name: "the classifier", classes: classifier.classes }
  const met = yield* Effect.fromResult(Result.all(sets.map((set) => Classes.meet(learned, set, rule))))
  const logits = yield* classify(classifier, sets)
  return met.map((test, i) => Accuracy.measure(test, logits[i]!))
})
