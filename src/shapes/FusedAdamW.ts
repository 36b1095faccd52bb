/**
 * What an optimizer does to each parameter.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Elementwise, FusedAdamW, Tensor } from "patchword/shapes"
 *
 * const number = (value: number) => Tensor.fill([], value)
 * const zeros = Tensor.zeros([2, 3])
 * const { parameter } = FusedAdamW.update(
 *   { parameter: Tensor.fill([2, 3], 1), first: zeros, second: zeros },
 *   Tensor.fill([2, 3], 1),
 *   {
 *     finite: Elementwise.isFinite(number(1)),
 *     keepFirst: number(0.9),
 *     takeFirst: number(0.1),
 *     keepSecond: number(0.99),
 *     takeSecond: number(0.01),
 *     epsilon: number(1e-8),
 *     step: number(0.5)
 *   }
 * )
 * assert.deepStrictEqual(parameter.shape, [2, 3])
 * ```
 */
import type * as tf from "@tensorflow/tfjs"
import * as Elementwise from "./Elementwise.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { Shape } from "./Shape.ts"
import { type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import * as Tree from "./Tree.ts"

/** One parameter with what an optimizer holds of it. */
export interface Moments<in out S extends Shape> {
  readonly parameter: Tensor<S>
  readonly first: Tensor<S>
  readonly second: Tensor<S>
  /** The mean gradient so far, where several steps make one update. */
  readonly mean?: Tensor<S>
}

/** Records of parameters and of what an optimizer holds of each. */
export interface State<P> {
  readonly parameters: P
  readonly first: P
  readonly second: P
  readonly mean?: P
}

type Scalar = Tensor<[]>

const byPath = (tree: object | undefined) => new Map(tree && Tree.leaves<Tensor<Shape>>(tree))

const added = <S extends Shape>(mean: Tensor<S>, gradient: Tensor<S>, keep: Scalar, take: Scalar): Tensor<S> =>
  Elementwise.add(Elementwise.scaleBy(mean, keep), Elementwise.scaleBy(gradient, take))

/** `keep mean + take gradient` of every parameter of a record. */
export const means = <P extends object>(mean: P, gradients: P, keep: Scalar, take: Scalar): P => {
  const others = byPath(gradients)
  return Tree.map<P>(mean, (leaf, path) => added(leaf as Tensor<Shape>, others.get(path)!, keep, take))
}

/** Applies an update rule to every parameter of a record. */
export const each = <P extends object>(
  state: State<P>,
  gradients: P,
  rule: <S extends Shape>(leaf: Moments<S>, gradient: Tensor<S>, path: string) => Moments<S>
): State<P> => {
  const [byGradient, byFirst, bySecond, byMean] = [gradients, state.first, state.second, state.mean].map(byPath)
  const updated = new Map(
    Tree.leaves<Tensor<Shape>>(state.parameters).map(([path, parameter]) => {
      const mean = byMean!.get(path)
      const leaf = { parameter, first: byFirst!.get(path)!, second: bySecond!.get(path)! }
      return [path, rule(mean === undefined ? leaf : { ...leaf, mean }, byGradient!.get(path)!, path)] as const
    })
  )
  const pick = (member: keyof Moments<Shape>) => Tree.map<P>(state.parameters, (_, path) => updated.get(path)![member])
  return {
    parameters: pick("parameter"),
    first: pick("first"),
    second: pick("second"),
    ...(state.mean === undefined ? {} : { mean: pick("mean") })
  }
}

/** The numbers of one step of AdamW. */
export interface Factors {
  /** Whether the gradient is taken at all; zeros take its place otherwise. */
  readonly finite: Tensor<[], "bool">
  /** What stays of the first moment, and how much of the gradient comes in. */
  readonly keepFirst: Scalar
  readonly takeFirst: Scalar
  /** What stays of the second moment, and how much of the gradient's square comes in. */
  readonly keepSecond: Scalar
  readonly takeSecond: Scalar
  readonly epsilon: Scalar
  /** The length of the step. */
  readonly step: Scalar
  /** What stays of the parameter under weight decay; all when absent. */
  readonly keep?: Scalar
  /** What stays of the mean gradient, and how much of the gradient comes in, where there is one. */
  readonly keepMean?: Scalar
  readonly takeMean?: Scalar
}

/**
 * `m ← keepFirst m + takeFirst g`, `v ← keepSecond v + takeSecond g²`, `p ← keep p - step m / (√v + epsilon)`; where there is
 * a mean gradient, `mean ← keepMean mean + takeMean g` before, and it stands for `g`. An engine may do it in one pass over
 * memory.
 */
export const update = <S extends Shape>(
  { first, mean, parameter, second }: Moments<S>,
  gradient: Tensor<S>,
  factors: Factors
): Moments<S> => {
  const { epsilon, finite, keep, keepFirst, keepMean, keepSecond, step, takeFirst, takeMean, takeSecond } = factors
  const inputs: Record<string, tf.Tensor> = {}
  for (const [name, tensor] of Object.entries({ ...factors, parameter, first, second, mean, gradient })) {
    if (tensor !== undefined) inputs[name] = untyped(tensor)
  }
  const results = FusedKernel.run("PatchwordAdamW", inputs, {}, () => {
    const sound = Elementwise.keepIf(finite, gradient)
    const nextMean = mean && keepMean && takeMean && added(mean, sound, keepMean, takeMean)
    const taken = nextMean ?? sound
    const nextFirst = Elementwise.add(Elementwise.scaleBy(first, keepFirst), Elementwise.scaleBy(taken, takeFirst))
    const nextSecond = Elementwise.add(
      Elementwise.scaleBy(second, keepSecond),
      Elementwise.scaleBy(Elementwise.square(taken), takeSecond)
    )
    const direction = Elementwise.div(nextFirst, Elementwise.shiftBy(Elementwise.sqrt(nextSecond), epsilon))
    const kept = keep === undefined ? parameter : Elementwise.scaleBy(parameter, keep)
    const next = Elementwise.sub(kept, Elementwise.scaleBy(direction, step))
    return [next, nextFirst, nextSecond, ...(nextMean === undefined ? [] : [nextMean])].map(untyped)
  })
  const [next, nextFirst, nextSecond, nextMean] = results.map((result) => unsafeTyped<S, "float32">(result))
  return {
    parameter: next!,
    first: nextFirst!,
    second: nextSecond!,
    ...(nextMean === undefined ? {} : { mean: nextMean })
  }
}
