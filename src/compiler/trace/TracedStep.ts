/** Calls a step on the inputs of a trace, which have shapes and no values. */
import type { DType } from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import type { Tracer } from "../kernels/Tracer.ts"
import * as Split from "./Split.ts"
import type { TensorOf } from "./TraceBackend.ts"

const declare = (tracer: Tracer, tensorOf: TensorOf, group: string, spec: object): object =>
  Tree.map<object>(spec, (leaf, path) => tensorOf(tracer.input(`${group}.${path}`, leaf.shape, leaf.dtype as DType)))

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
 * Returns the metrics and the next state of a training step on the inputs `state.<path>` and `batch.<path>`.
 *
 * @throws ShapeError when its operands do not fit, or when it does not return a state like the one it takes. `Split.Uneven` when the
 * devices cannot share its batch.
 */
export const train = <S, B, M>(
  step: TrainStep<S, B, M>,
  tracer: Tracer,
  tensorOf: TensorOf
): { readonly metrics: object; readonly next: object } => {
  const state = declare(tracer, tensorOf, "state", step.state as object) as S
  const batch = declare(tracer, tensorOf, "batch", Split.specs(step.batch as object, tracer.devices)) as B
  const { metrics, state: next } = step.run(state, batch) as { metrics: object; state: object }
  keepsShapes(step.state as object, next)
  return { metrics, next }
}

/**
 * Returns the record of an inference on the inputs `weights.<path>` and `batch.<path>`.
 *
 * @throws ShapeError when its operands do not fit.
 */
export const infer = <W, B, O>(step: Inference<W, B, O>, tracer: Tracer, tensorOf: TensorOf): object => {
  const weights = declare(tracer, tensorOf, "weights", step.weights as object) as W
  const batch = declare(tracer, tensorOf, "batch", step.batch as object) as B
  return step.run(weights, batch) as object
}

/** Returns the specifications of a record of tensors. */
export const specOf = (tree: object): object =>
  Tree.map<object>(tree, ({ dtype, shape }) => ({ dtype, shape: [...shape] }))
