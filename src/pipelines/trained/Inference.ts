/** Inferences with the weights of trained networks. */
import { Effect, Result } from "effect"
import { Engine } from "../../layers/engine/Engine.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type { HostOf, Inference } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"

/** Renames arrays. Arrays whose new name is `undefined` are left out. */
export const renamed = (tensors: Weights.Tensors, name: (name: string) => string | undefined): Weights.Tensors =>
  Weights.rename(Weights.make(tensors), name).tensors

/** Renames the arrays of a network to the names of its inferences. */
export const parameters = (tensors: Weights.Tensors): Weights.Tensors =>
  renamed(tensors, (name) => `parameters.${name}`)

/**
 * Makes the weights of an inference from named arrays. Fails with every array that is missing, unexpected or of a wrong shape.
 */
export const loadWeights = <W, B, O>(
  inference: Inference<W, B, O>,
  tensors: Weights.Tensors
): Effect.Effect<HostOf<W>, Weights.WeightsError> =>
  Effect.fromResult(
    Result.map(
      Weights.conform(inference.weights as object, Weights.make(tensors), inference.name),
      () => Tree.map<HostOf<W>>(inference.weights as object, (_, path) => tensors[path])
    )
  )

/** Opens an inference on the engine, with weights from named arrays. */
export const open = Effect.fnUntraced(function*<W, B, O>(inference: Inference<W, B, O>, tensors: Weights.Tensors) {
  const engine = yield* Engine
  yield* Effect.annotateCurrentSpan("patchword.engine", engine.name)
  return yield* engine.infer(inference, yield* loadWeights(inference, tensors))
})
