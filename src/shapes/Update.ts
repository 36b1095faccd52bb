/**
 * What an optimizer does to each parameter.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Elementwise, Tensor, Update } from "patchword/shapes"
 *
 * const number = (value: number) => Tensor.fill([], value)
 * const zeros = Tensor.zeros([2, 3])
 * const { parameter } = Update.adamw(
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
import * as Kernel from "./Kernel.ts"
import type { Shape } from "./Shape.ts"
import { type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import * as Tree from "./Tree.ts"

/** One parameter with its two moments. */
export interface Moments<in out S extends Shape> {
  readonly parameter: Tensor<S>
  readonly first: Tensor<S>
  readonly second: Tensor<S>
}

const both = <P extends object>(
  a: P,
  b: P,
  combine: <S extends Shape>(a: Tensor<S>, b: Tensor<S>) => Tensor<S>
): P => {
  const other = new Map(Tree.leaves<Tensor<Shape>>(b))
  return Tree.map<P>(a, (leaf, path) => combine(leaf as Tensor<Shape>, other.get(path)!))
}

/** `keep` of a record of means and `share` of one of gradients. */
export const mean = <P extends object>(means: P, gradients: P, keep: Tensor<[]>, share: number): P =>
  both(
    means,
    gradients,
    (sum, gradient) => Elementwise.add(Elementwise.scaleBy(sum, keep), Elementwise.scale(gradient, share))
  )

/** One record if a scalar condition holds, else the other. Has no gradient. */
export const choose = <P extends object>(condition: Tensor<[], "bool">, a: P, b: P): P =>
  both(a, b, (one, other) => Elementwise.choose(condition, one, other))

/** Applies an update rule to every parameter of a record. */
export const each = <P extends object>(
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

type Scalar = Tensor<[]>

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
}

/**
 * `m ← keepFirst m + takeFirst g`, `v ← keepSecond v + takeSecond g²`, `p ← keep p - step m / (√v + epsilon)`. An engine may
 * do it in one pass over memory.
 */
export const adamw = <S extends Shape>(
  { first, parameter, second }: Moments<S>,
  gradient: Tensor<S>,
  factors: Factors
): Moments<S> => {
  const { epsilon, finite, keep, keepFirst, keepSecond, step, takeFirst, takeSecond } = factors
  const given: Record<string, tf.Tensor> = {}
  for (const [name, scalar] of Object.entries(factors)) if (scalar !== undefined) given[name] = untyped(scalar)
  const inputs = {
    ...given,
    parameter: untyped(parameter),
    first: untyped(first),
    second: untyped(second),
    gradient: untyped(gradient)
  }
  const results = Kernel.fused("PatchwordAdamW", inputs, {}, () => {
    const sound = Elementwise.keepIf(finite, gradient)
    const nextFirst = Elementwise.add(Elementwise.scaleBy(first, keepFirst), Elementwise.scaleBy(sound, takeFirst))
    const nextSecond = Elementwise.add(
      Elementwise.scaleBy(second, keepSecond),
      Elementwise.scaleBy(Elementwise.square(sound), takeSecond)
    )
    const direction = Elementwise.div(nextFirst, Elementwise.shiftBy(Elementwise.sqrt(nextSecond), epsilon))
    const kept = keep === undefined ? parameter : Elementwise.scaleBy(parameter, keep)
    const next = Elementwise.sub(kept, Elementwise.scaleBy(direction, step))
    return [next, nextFirst, nextSecond].map(untyped)
  })
  const [next, nextFirst, nextSecond] = results.map((result) => unsafeTyped<S, "float32">(result))
  return { parameter: next!, first: nextFirst!, second: nextSecond! }
}
