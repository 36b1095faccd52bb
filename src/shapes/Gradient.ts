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
import * as tf from "@tensorflow/tfjs-core"
import { pmean } from "./Collective.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { part } from "./Step.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import * as Tree from "./Tree.ts"

/**
 * Computes the loss, its gradients as a record like the parameters, and the auxiliary outputs of the function. Parameters that
 * the loss does not depend on get zeros. On several devices, loss and gradients are the means over the devices. The auxiliary
 * outputs are those of each device.
 */
export const valueAndGradient = <P extends object, A extends object>(
  lossOf: (params: P) => { readonly loss: Tensor<[]>; readonly aux: A },
  params: P
): { readonly loss: Tensor<[]>; readonly aux: A; readonly gradients: P } =>
  part(() => {
    const leaves = part(() => Tree.leaves<Any>(params))
    const found: Array<A> = []
    const { value, grads } = tf.engine().gradients(
      () => {
        const { aux, loss } = part(() => lossOf(params))
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
    return {
      loss: pmean(unsafeTyped<[]>(value)),
      aux,
      gradients: pmean(Tree.map<P>(params, (_, path) => gradients.get(path)))
    }
  })

const boundaryGrad = tf.customGrad((x, save) => {
  const input = x as tf.Tensor
  ;(save as tf.GradSaveFunc)([input])
  return {
    value: input.clone(),
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) =>
      FusedKernel.run("PatchwordBoundary", { x: saved[0]!, dy }, {}, () => [dy.clone()])[0]!
  }
})

/**
 * Returns the value itself and marks a boundary of the network. A compiler that saves memory keeps the values at boundaries. It
 * computes the values between them again when gradients need them.
 */
export const boundary = <S extends Shape>(x: Tensor<S>): Tensor<S> => {
  ShapeError.floats("boundary", { x })
  return unsafeTyped(boundaryGrad(untyped(x)))
}
