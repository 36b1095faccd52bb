/**
 * Stochastic gradient descent with momentum, as in PyTorch without dampening, Nesterov's form and weight decay.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Sgd } from "patchword/nn"
 * import { HostTensor, Tensor } from "patchword/shapes"
 *
 * const parameters = { weight: Tensor.fill([2], 1) }
 * const state = { parameters, first: { weight: Tensor.zeros([2]) }, second: {} }
 * const rate = Tensor.constant(HostTensor.scalar(0.5))
 * const { state: next } = Sgd.update(state, parameters, { rate, momentum: 0.9, scale: () => 2 })
 * assert.deepStrictEqual(next.parameters.weight.shape, [2])
 * ```
 */
import { add, isFinite, scale, scaleBy, select, sub } from "../../shapes/Elementwise.ts"
import { globalNorm } from "../../shapes/Reduction.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Parameter from "../blocks/Parameter.ts"

/** Parameters and their momentum buffers. `second` is empty: training stages keep AdamW's second moments there. */
export interface State<P> {
  readonly parameters: P
  /** The momentum buffers (`momentum_buffer`). Zeros before the first step, so that the first buffer is the first gradient. */
  readonly first: P
  readonly second: Readonly<Record<never, never>>
}

/** The options of an update. */
export interface Options {
  readonly rate: Tensor<[]>
  readonly momentum: number
  /** The factor of a parameter's learning rate. */
  readonly scale: (name: string) => number
}

/** Specifies the state of parameters. */
export const stateSpec = <P extends object>(parameters: P) => ({ parameters, first: parameters, second: {} })

/** Creates the state before the first step. */
export const initial = <P extends object>(parameters: Parameter.ValuesOf<P>, spec: P) => ({
  parameters,
  first: Parameter.zerosLike(spec),
  second: {}
})

/**
 * Returns the state after one step, and the norm of all gradients. If that norm or the loss is not finite, the state stays as
 * it was.
 */
export const update = <P extends object>(
  state: State<P>,
  gradients: P,
  options: Options,
  loss?: Tensor<[]>
): { readonly state: State<P>; readonly norm: Tensor<[]>; readonly finite: Tensor<[], "bool"> } => {
  const { momentum, rate, scale: factorOf } = options
  const norm = globalNorm(gradients)
  const finite = isFinite(loss === undefined ? norm : add(norm, loss))
  const gradientOf = new Map(Tree.leaves<Tensor<Shape>>(gradients))
  const rates = new Map<number, Tensor<[]>>()
  const rateAt = (factor: number): Tensor<[]> => {
    const known = rates.get(factor) ?? scale(rate, factor)
    rates.set(factor, known)
    return known
  }
  const buffers = new Map(
    Tree.leaves<Tensor<Shape>>(state.first).map(([path, buffer]) =>
      [path, add(scale(buffer, momentum), gradientOf.get(path)!)] as const
    )
  )
  return {
    norm,
    finite,
    state: {
      parameters: Tree.map<P>(state.parameters, (leaf, path) => {
        const parameter = leaf as Tensor<Shape>
        return select(finite, sub(parameter, scaleBy(buffers.get(path)!, rateAt(factorOf(path)))), parameter)
      }),
      first: Tree.map<P>(state.first, (leaf, path) => select(finite, buffers.get(path)!, leaf as Tensor<Shape>)),
      second: {}
    }
  }
}
