/** The vector of a network that stands for an image. */
import { Effect, Option } from "effect"
import { Flag } from "effect/cli"
import * as Described from "./Described.ts"
import * as RunConfig from "./RunConfig.ts"

/** The features that are asked for. */
export const flags = {
  pooling: Flag.Literals("pooling", ["mean", "cls"]).pipe(
    Described.optional(
      "features are the mean of the patch tokens, or the class token",
      "as knn of the run; mean without a run"
    )
  ),
  finalNorm: Flag.Boolean("final-norm").pipe(
    Described.optional(
      "apply the last layer norm; --no-final-norm leaves it out",
      "as knn of the run; on without a run"
    )
  )
}

/** The values of {@link flags}. */
export interface PoolingFlags {
  readonly pooling: Option.Option<"mean" | "cls">
  readonly finalNorm: Option.Option<boolean>
}

/** The features that are asked for, or those that the run of the network compares. A classifier has its mean. */
export const resolve = Effect.fnUntraced(function*(
  given: PoolingFlags & { readonly network: string },
  kind: "Tokenizer" | "Backbone" | "Classifier"
) {
  const kept = kind === "Classifier" ? undefined : yield* RunConfig.of(given.network)
  return {
    pooling: Option.getOrElse(given.pooling, () => kept?.knn.pooling ?? "mean"),
    finalNorm: Option.getOrElse(given.finalNorm, () => kept?.knn.finalNorm ?? true)
  }
})
