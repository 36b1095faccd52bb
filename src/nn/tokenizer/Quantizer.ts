/**
 * What a quantizer is: how vectors become codes, and what it learns meanwhile. A tokenizer takes any value of this kind; ours
 * are `MovingAverage`, `LearnedCodes` and `FiniteScalar`.
 *
 * What it keeps has the names `quantize.*` in files: parameters, which the optimizer learns; a state, which `update` moves; and
 * statistics, which only training reads.
 *
 * ```ts
 * import assert from "node:assert"
 * import type { Quantizer } from "patchword/nn"
 * import { Codes, Dim, Elementwise, HostTensor, Tensor } from "patchword/shapes"
 *
 * // Two codes, by the sign of a vector's only channel.
 * const sign: Quantizer.Quantizer<2, 1> = {
 *   name: "sign",
 *   codes: 2,
 *   codeWidth: 1,
 *   quantize: (_, vectors) => ({
 *     z: vectors,
 *     codes: Codes.nearest(vectors, Tensor.constant(HostTensor.make([2, 1], "float32", Float32Array.of(-1, 1)))),
 *     z_q: Codes.straightThrough(vectors, Elementwise.sign(vectors)),
 *     losses: {}
 *   })
 * }
 * const vectors = Tensor.constant(HostTensor.make([Dim.named("vectors", 3), 1], "float32", Float32Array.of(3, -2, 1)))
 * assert.deepStrictEqual([...Tensor.untyped(sign.quantize({}, vectors).codes).dataSync()], [1, 0, 1])
 * ```
 */
import type * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import type { Dim } from "../../shapes/Dim.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { HostOf, SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import type * as Parameter from "../blocks/Parameter.ts"

/** Records of tensors that make a quantizer. */
export interface Parts {
  /** What the optimizer learns. */
  readonly parameters: object
  /** What `update` moves and `quantize` reads. */
  readonly state: object
  /** What `update` moves and only training reads. */
  readonly statistics: object
  /** Inputs of every step beside the images, which the host draws. */
  readonly draws: object
  /** Inputs of `fit`, which the host draws. */
  readonly start: object
  /** What is added to the loss: scalars. */
  readonly losses: object
}

/** A quantizer that has none of it; extended by what one has. */
export interface Nothing extends Parts {
  readonly parameters: Readonly<Record<never, never>>
  readonly state: Readonly<Record<never, never>>
  readonly statistics: Readonly<Record<never, never>>
  readonly draws: Readonly<Record<never, never>>
  readonly start: Readonly<Record<never, never>>
  readonly losses: Readonly<Record<never, never>>
}

/** What quantizing `M` vectors of `E` channels gives. */
export interface Quantized<M extends number, E extends number, L = object> {
  /** The vectors as they are compared with codes. */
  readonly z: Tensor<[M, E]>
  readonly codes: Tensor<[M], "int32">
  /** What the decoder sees of the codes. Gradients pass through it to the vectors. */
  readonly z_q: Tensor<[M, E]>
  /** Scalars that are added to the loss; each is a column of the log. */
  readonly losses: L
}

/** The key of a draw, by what it is for. */
export type KeyOf = (purpose: string) => KeyedRandom.Key

/** What `quantize` reads, in training and after it. */
export type Learned<Q extends Parts> = Q["parameters"] & Q["state"]

/** What `update` moves. */
export type Moved<Q extends Parts> = Q["state"] & Q["statistics"]

/** First values out of the vectors of the first batch. */
export interface Fit<E extends number, Q extends Parts> {
  /** Draws on the host what `run` needs, for a number of vectors. */
  draw(keyOf: KeyOf, vectors: number): HostOf<Q["start"]>
  /** Members of parameters, state and statistics, in place of those that were drawn. */
  run<M extends number>(vectors: Tensor<[M, E]>, start: Q["start"]): object
}

/**
 * A quantizer with `K` codes for vectors of `E` channels. Everything in it is pure, and what draws on the host takes each key
 * once. Types are those of `Parts` where nobody asks what it is made of.
 */
export interface Quantizer<K extends number, E extends number, Q extends Parts = Parts> {
  /** What files and errors call it. */
  readonly name: string
  readonly codes: K
  readonly codeWidth: E
  readonly parameters?: Parameter.ParametersOf<Q["parameters"]>
  readonly state?: SpecOf<Q["state"]>
  readonly statistics?: SpecOf<Q["statistics"]>
  readonly draws?: SpecOf<Q["draws"]>
  /** Codes of vectors, and what the decoder sees of them. */
  quantize<M extends number>(learned: Learned<Q>, vectors: Tensor<[M, E]>): Quantized<M, E, Q["losses"]>
  /** State and statistics after a batch; they stay without it. */
  update?<M extends number>(
    moved: Moved<Q>,
    batch: Pick<Quantized<M, E>, "z" | "codes"> & { readonly counts: Tensor<[K]> },
    draws: Q["draws"]
  ): Moved<Q>
  /** The inputs of a step with so many vectors. */
  draw?(keyOf: KeyOf, vectors: number): HostOf<Q["draws"]>
  /** State and statistics before a training whose steps have so many vectors; zeros without it. */
  initial?(keyOf: KeyOf, vectors: number): HostOf<Moved<Q>>
  /** How it begins with the vectors of the first batch, where it does. */
  readonly fit?: Fit<E, Q> | undefined
}

/** A quantizer with the named sizes of the stages. */
export type Named<Q extends Parts = Parts> = Quantizer<Dim<"codes">, Dim<"codeWidth">, Q>

const show = (value: unknown): string =>
  value === undefined
    ? "nothing"
    : typeof value === "object" && value !== null && "shape" in value && "dtype" in value
    ? `${String(value.dtype)} ${ShapeError.show(value.shape as ReadonlyArray<number>)}`
    : `no tensor but ${typeof value}`

type Member = readonly [name: string, expected: string, got: string]

const check = (quantizer: string, members: ReadonlyArray<Member>): void => {
  const wrong = members.find(([, expected, got]) => got !== expected)
  if (wrong === undefined) return
  const [name, expected, got] = wrong
  throw new ShapeError.ShapeError(`the quantizer "${quantizer}": ${name}: expected ${expected}, got ${got}`)
}

/**
 * Refuses names in a member of a quantizer that are taken.
 *
 * @throws ShapeError that names the quantizer and the member.
 */
export const checkNames = (quantizer: string, member: string, own: object = {}, taken: ReadonlyArray<string>): void =>
  check(
    quantizer,
    Object.keys(own).filter((name) => taken.includes(name)).map((
      name
    ) => [member, "a name that is not taken", `"${name}"`])
  )

/**
 * Codes of vectors as a quantizer gives them.
 *
 * @throws ShapeError that names the quantizer, and the member that is not what {@link Quantized} says.
 */
export const quantize = <M extends number, K extends number, E extends number, Q extends Parts>(
  quantizer: Quantizer<K, E, Q>,
  learned: Learned<Q>,
  vectors: Tensor<[M, E]>
): Quantized<M, E, Q["losses"]> => {
  const quantized = quantizer.quantize(learned, vectors)
  // One's own may come from plain JavaScript.
  const { codes, losses = {}, z, z_q }: Partial<Quantized<M, E>> = quantized ?? {}
  const same = show(vectors)
  check(quantizer.name, [
    ["z", same, show(z)],
    ["codes", `int32 ${ShapeError.show(vectors.shape.slice(0, 1))}`, show(codes)],
    ["z_q", same, show(z_q)],
    ...Object.entries(losses).map(([name, loss]): Member => [`losses.${name}`, "float32 []", show(loss)])
  ])
  return { ...quantized, losses }
}

/**
 * State and statistics of a quantizer after a batch.
 *
 * @throws ShapeError that names the quantizer, and the array that is not there before and after.
 */
export const update = <M extends number, K extends number, E extends number, Q extends Parts>(
  quantizer: Quantizer<K, E, Q>,
  moved: Moved<Q>,
  batch: Pick<Quantized<M, E>, "z" | "codes"> & { readonly counts: Tensor<[K]> },
  draws: Q["draws"]
): Moved<Q> => {
  const after = quantizer.update?.(moved, batch, draws) ?? moved
  const [old, young] = [new Map(Tree.leaves(moved)), new Map(Tree.leaves(after))]
  const paths = [...new Set([...old.keys(), ...young.keys()])]
  check(quantizer.name, paths.map((path) => [`update: ${path}`, show(old.get(path)), show(young.get(path))]))
  return after
}
