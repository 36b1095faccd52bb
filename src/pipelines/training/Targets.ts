/** The targets of the tokenizer: the teacher's features of its images. */
import { Effect } from "effect"
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import * as FeatureDirections from "../../domain/method/FeatureDirections.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import { Teacher, TeacherError } from "../../layers/teacher/Teacher.ts"
import type * as Batches from "./Batches.ts"
import * as Stage from "./Stage.ts"

/** Largest number of tokens before the patches that may be class tokens and registers. */
const LEADING = 17

/**
 * Computes the teacher's features of a batch from a set. Fails with `ConfigError` if their number does not fit the tokenizer's
 * patches, with `TeacherError` if the features of a patch have no direction, and as the teacher does.
 */
export const of = Effect.fnUntraced(function*(
  config: TokenizerConfig,
  batch: Pick<Batches.ImageBatch, "indices" | "unit">,
  set: ImageSet
) {
  const { encoder } = config
  const { indices, unit } = batch
  const teacher = yield* Teacher
  const nameOf = (image: number) => set.describe(indices[image]!)
  const targets = yield* teacher.features(unit, nameOf)
  const [, tokens, width] = targets.shape
  const { imageSize, patches, patchSize } = encoder
  const more = tokens - patches
  yield* Stage.requireConfig("tokenizer", {
    "encoder.patchSize": [
      more !== 0,
      `expected a size that gives the ${tokens} patches of the teacher ${teacher.name} in ${imageSize} pixels, got ${patchSize}` +
      (more > 0 && more <= LEADING
        ? `; if its first ${more === 1 ? "token is a class token" : `${more} tokens are not patches`}, skip ` +
          `${more} more (skip of its layer, --teacher-skip)`
        : "")
    ]
  })
  yield* Effect.fromResult(FeatureDirections.check(targets.data, { tokens, width, nameOf })).pipe(
    Effect.mapError((reason) => new TeacherError({ teacher: teacher.name, reason }))
  )
  return targets
})
