/**
 * The transformer with a classifier on top, as it is fine-tuned: on the mean of the patch tokens or on the class token
 * (`modeling_finetune.py`, `VisionTransformer`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Classifier } from "patchword/nn"
 * import { Tensor } from "patchword/shapes"
 *
 * const norm = { weight: Tensor.fill([8], 1), bias: Tensor.zeros([8]) }
 * const pooled = Classifier.pool({ fc_norm: norm }, Tensor.zeros([2, 5, 8]), 4)
 * assert.deepStrictEqual(pooled.shape, [2, 8])
 * ```
 */
import type * as Dim from "../shapes/Dim.ts"
import * as Linear from "../shapes/Linear.ts"
import * as Normalization from "../shapes/Normalization.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import * as Parameter from "./Parameter.ts"
import * as Vit from "./Vit.ts"

/** A classifier over `K` classes: `fc_norm` where tokens are averaged, `norm` where the class token is taken. */
export interface ClassifierParams<
  in out P extends number,
  in out C extends number,
  in out F extends number,
  in out H extends number,
  in out R extends number,
  in out T extends number,
  in out K extends number
> extends Vit.VitParams<3, P, C, F, H, R, T> {
  readonly norm?: Normalization.NormParams<C>
  readonly fc_norm?: Normalization.NormParams<C>
  readonly head: Linear.LinearParams<C, K>
}

/** The sizes and the kind of a classifier. */
export interface ClassifierOptions<
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number,
  K extends number
> extends Vit.VitOptions<3, P, C, F, H, R, T> {
  readonly classes: K
  readonly pooling: "mean" | "cls"
  /** The head's first weights are multiplied by it. */
  readonly headScale: number
}

/** The parameters of a classifier. */
export const spec = <
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number,
  K extends number
>(options: ClassifierOptions<P, C, F, H, R, T, K>): Parameter.ParametersOf<ClassifierParams<P, C, F, H, R, T, K>> => {
  const { classes, headScale, pooling, regime, width } = options
  return {
    ...Vit.spec(options),
    ...(pooling === "mean" ? { fc_norm: Block.norm(width) } : { norm: Block.norm(width) }),
    head: { weight: Parameter.normal([classes, width], regime, headScale), bias: Parameter.zeros([classes]) }
  }
}

/** One vector per image: tokens `[B, N+1, C]` to `[B, C]`. */
export const pool = <B extends number, N extends number, C extends number>(
  params: { readonly norm?: Normalization.NormParams<C>; readonly fc_norm?: Normalization.NormParams<C> },
  tokens: Tensor<[B, NoInfer<Dim.Plus<N, 1>>, C]>,
  patches: N,
  epsilon = Block.EPSILON
): Tensor<[B, C]> => {
  if (params.fc_norm !== undefined) {
    return Normalization.layerNorm(Reduction.meanTokens(Tokens.patchTokens(tokens, patches)), params.fc_norm, epsilon)
  }
  const normed = params.norm === undefined ? tokens : Normalization.layerNorm(tokens, params.norm, epsilon)
  return Tokens.single(Tokens.classToken(normed))
}

/** Logits `[B, K]` of images `[B, 3, Y, X]`. */
export const forward = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
>(
  params: ClassifierParams<P, C, F, H, R, Dim.Plus<Dim.Patches<Y, X, P>, 1>, K>,
  images: Tensor<[B, 3, Y, X]>,
  patches: Dim.Patches<Y, X, P>,
  context: Vit.Context<B, Dim.Plus<Dim.Patches<Y, X, P>, 1>, H>
): Tensor<[B, K]> =>
  Linear.linear(pool(params, Vit.forward(params, images, context), patches, context.epsilon), params.head)
