/**
 * Reverse-mode gradients of a scalar with respect to a record of parameters.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Elementwise, Gradient, Reduction, Tensor } from "patchword/shapes"
 *
 * const { gradients } = Gradient.valueAndGradient(
 *   (p: { readonly w: Tensor.Tensor<[3]> }) => ({ loss: Reduction.sum(Elementwise.square(p.w)), aux: {} }),
 *   { w: Tensor.fill([3], 2) }
 * )
 * assert.deepStrictEqual(gradients.w.shape, [3])
 * ```
 */
import * as tf from "@tensorflow/tfjs"
import type { Shape } from "./Shape.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import * as Tree from "./Tree.ts"

/**
 * The loss, its gradient in the record's own shape, and whatever else the function wants to hand out. A parameter that
 * the loss does not depend on gets zeros.
 */
export const valueAndGradient = <P extends object, A extends object>(
  lossOf: (params: P) => { readonly loss: Tensor<[]>; readonly aux: A },
  params: P
): { readonly loss: Tensor<[]>; readonly aux: A; readonly gradients: P } => {
  const leaves = Tree.leaves<Any>(params)
  const found: Array<A> = []
  const { value, grads } = tf.engine().gradients(
    () => {
      const { loss, aux } = lossOf(params)
      // The engine frees everything that its forward pass does not return; these must outlive it. They are copies, which
      // can be freed though the loss or a parameter is among them.
      found.push(Tree.map<A>(aux, (leaf) => tf.keep(untyped(leaf as Any).clone())))
      return untyped(loss)
    },
    leaves.map(([, leaf]) => untyped(leaf)),
    undefined,
    true
  )
  const aux = Tree.map<A>(found[0]!, (leaf) => {
    const kept = untyped(leaf as Any)
    const adopted = tf.clone(kept)
    kept.dispose()
    return adopted
  })
  const gradients = new Map(
    leaves.map(([path, leaf], index) => [path, grads[index] ?? tf.zerosLike(untyped(leaf))] as const)
  )
  return { loss: unsafeTyped(value), aux, gradients: Tree.map<P>(params, (_, path) => gradients.get(path)) }
}

/** One parameter of an optimizer's update with its gradient and its two moments. */
export interface Moments<in out S extends Shape> {
  readonly parameter: Tensor<S>
  readonly first: Tensor<S>
  readonly second: Tensor<S>
}

/** Applies an update rule to every parameter of a record. */
export const updateEach = <P extends object>(
  state: { readonly parameters: P; readonly first: P; readonly second: P },
  gradients: P,
  rule: <S extends Shape>(leaf: Moments<S>, gradient: Tensor<S>, path: string) => Moments<S>
): { readonly parameters: P; readonly first: P; readonly second: P } => {
  const [byGradient, byFirst, bySecond] = [gradients, state.first, state.second].map((tree) =>
    new Map(Tree.leaves<Tensor<Shape>>(tree))
  ) as [Map<string, Tensor<Shape>>, Map<string, Tensor<Shape>>, Map<string, Tensor<Shape>>]
  const updated = new Map(
    Tree.leaves<Tensor<Shape>>(state.parameters).map(([path, parameter]) => {
      const leaf = { parameter, first: byFirst.get(path)!, second: bySecond.get(path)! }
      return [path, rule(leaf, byGradient.get(path)!, path)] as const
    })
  )
  const pick = (member: keyof Moments<Shape>) => Tree.map<P>(state.parameters, (_, path) => updated.get(path)![member])
  return { parameters: pick("parameter"), first: pick("first"), second: pick("second") }
}
