/** Calls a step on the inputs of a trace, which have shapes and no values. */
import type { DType } from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import type { InParts } from "../graph/InParts.ts"
import type { Tracer } from "../kernels/Tracer.ts"
import type { Fusion } from "../kernels/Translations.ts"
import * as Split from "./Split.ts"
import * as TraceBackend from "./TraceBackend.ts"

const declared = <T>(tracer: Tracer, tensorOf: TraceBackend.TensorOf, group: string, spec: object): T =>
  Tree.map<T>(spec, (leaf, path) => tensorOf(tracer.input(`${group}.${path}`, leaf.shape, leaf.dtype as DType)))

const show = (leaf: Tree.Leaf | undefined): string =>
  leaf === undefined ? "missing" : `${leaf.dtype} ${ShapeError.show(leaf.shape)}`

/**
 * Refuses a step whose next state has other shapes than its state, because the next state is fed back.
 *
 * @throws ShapeError
 */
export const keepsShapes = (state: object, next: object): void => {
  const before = new Map(Tree.leaves(state))
  const after = new Map(Tree.leaves(next))
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    const [old, young] = [before, after].map((leaves) => leaves.get(path))
    if (show(old) === show(young)) continue
    throw new ShapeError.ShapeError(`step: state.${path} is ${show(old)} but the step makes it ${show(young)}`)
  }
}

/**
 * Calls a training step in parts on the inputs `state.<path>` and `batch.<path>`, and returns the metrics and the next state.
 *
 * @throws ShapeError when its operands do not fit, or when it does not return a state like the one it takes. `Split.Uneven` when the
 * devices cannot share its batch.
 */
export function* train<S, B, M>(
  step: TrainStep<S, B, M>,
  fusion: Fusion,
  tracer: Tracer
): InParts<{ readonly metrics: object; readonly next: object }> {
  const { metrics, state: next } = yield* TraceBackend.run(
    fusion,
    tracer,
    (tensorOf) => ({
      state: declared<S>(tracer, tensorOf, "state", step.state as object),
      batch: declared<B>(tracer, tensorOf, "batch", Split.specs(step.batch as object, tracer.devices))
    }),
    ({ batch, state }) => step.run(state, batch) as { metrics: object; state: object }
  )
  yield
  keepsShapes(step.state as object, next)
  return { metrics, next }
}

/**
 * Calls an inference in parts on the inputs `weights.<path>` and `batch.<path>`, and returns its record.
 *
 * @throws ShapeError when its operands do not fit.
 */
export function* infer<W, B, O>(step: Inference<W, B, O>, tracer: Tracer): InParts<object> {
  return yield* TraceBackend.run(
    "layers",
    tracer,
    (tensorOf) => ({
      weights: declared<W>(tracer, tensorOf, "weights", step.weights as object),
      batch: declared<B>(tracer, tensorOf, "batch", step.batch as object)
    }),
    ({ batch, weights }) => step.run(weights, batch) as object
  )
}

/** Returns the specifications of a record of tensors. */
export const specOf = (tree: object): object =>
  Tree.map<object>(tree, ({ dtype, shape }) => ({ dtype, shape: [...shape] }))
