/**
 * The interface of quantizers. A quantizer maps vectors to codes and learns during training. A tokenizer takes any value of
 * this type. Ours are `MovingAverage`, `LearnedCodes` and `FiniteScalar`.
 *
 * Its tensors have the names `quantize.*` in files. They are of three kinds: parameters, which the optimizer learns; a state,
 * which `update` changes; and statistics, which only training reads.
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

/** The records of tensors of a quantizer. */
export interface Parts {
  /** Parameters that the optimizer learns. */
  readonly parameters: object
  /** State that `update` changes and `quantize` reads. */
  readonly state: object
  /** Statistics that `update` changes and only training reads. */
  readonly statistics: object
  /** Additional inputs of every step, which the host draws. */
  readonly draws: object
  /** Inputs of `fit`, which the host draws. */
  readonly start: object
  /** Scalars that are added to the loss. */
  readonly losses: object
}

/** The parts of a quantizer without any tensors. A quantizer extends it by its own parts. */
export interface Nothing extends Parts {
  readonly parameters: Readonly<Record<never, never>>
  readonly state: Readonly<Record<never, never>>
  readonly statistics: Readonly<Record<never, never>>
  readonly draws: Readonly<Record<never, never>>
  readonly start: Readonly<Record<never, never>>
  readonly losses: Readonly<Record<never, never>>
}

/** The result of quantizing `M` vectors of `E` channels. */
export interface Quantized<M extends number, E extends number, L = object> {
  /** The vectors in the form that is compared with codes. */
  readonly z: Tensor<[M, E]>
  readonly codes: Tensor<[M], "int32">
  /** The decoder's input. Gradients pass through it to the vectors. */
  readonly z_q: Tensor<[M, E]>
  /** Scalars that are added to the loss. Each is a column of the log. */
  readonly losses: L
}

/** Returns the key of a draw for a purpose. */
export type KeyOf = (purpose: string) => KeyedRandom.Key

/** The tensors that `quantize` reads, in training and afterwards. */
export type Learned<Q extends Parts> = Q["parameters"] & Q["state"]

/** The tensors that `update` changes. */
export type Moved<Q extends Parts> = Q["state"] & Q["statistics"]

/** The initialisation from the vectors of the first batch. */
export interface Fit<E extends number, Q extends Parts> {
  /** Draws the inputs of `run` on the host, for a number of vectors. */
  draw(keyOf: KeyOf, vectors: number): HostOf<Q["start"]>
  /** Returns members of parameters, state and statistics that replace the initial ones. */
  run<M extends number>(vectors: Tensor<[M, E]>, start: Q["start"]): object
}

/**
 * A quantizer with `K` codes for vectors of `E` channels. All its functions are pure. Functions that draw on the host use each
 * key once. The default `Q` hides the quantizer's own parts.
 */
export interface Quantizer<K extends number, E extends number, Q extends Parts = Parts> {
  /** The name in files and errors. */
  readonly name: string
  readonly codes: K
  readonly codeWidth: E
  readonly parameters?: Parameter.ParametersOf<Q["parameters"]>
  readonly state?: SpecOf<Q["state"]>
  readonly statistics?: SpecOf<Q["statistics"]>
  readonly draws?: SpecOf<Q["draws"]>
  /** Returns the codes of vectors, and the decoder's input for them. */
  quantize<M extends number>(learned: Learned<Q>, vectors: Tensor<[M, E]>): Quantized<M, E, Q["losses"]>
  /** Returns state and statistics after a batch. Without this function they never change. */
  update?<M extends number>(
    moved: Moved<Q>,
    batch: Pick<Quantized<M, E>, "z" | "codes"> & { readonly counts: Tensor<[K]> },
    draws: Q["draws"]
  ): Moved<Q>
  /** Draws the additional inputs of a step with the given number of vectors. */
  draw?(keyOf: KeyOf, vectors: number): HostOf<Q["draws"]>
  /** Draws state and statistics before a training with the given number of vectors per step. Without it they are zeros. */
  initial?(keyOf: KeyOf, vectors: number): HostOf<Moved<Q>>
  /** The initialisation from the vectors of the first batch, if the quantizer has one. */
  readonly fit?: Fit<E, Q> | undefined
}

/** A quantizer with the named sizes of the stages. */
export type Named<Q extends Parts = Parts> = Quantizer<Dim<"codes">, Dim<"codeWidth">, Q>

/** Formats a member of a quantizer for messages: its element type and shape. */
export const show = (value: unknown): string =>
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
 * Refuses names in a member of a quantizer that are already in use.
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
 * Quantizes vectors with a quantizer and checks the result.
 *
 * @throws ShapeError that names the quantizer, and the member that does not match {@link Quantized}.
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
 * Returns the initial values of a quantizer from the vectors of the first batch.
 *
 * @throws ShapeError that names the quantizer, and the array that is unknown or has another shape.
 */
export const fit = <M extends number, K extends number, E extends number, Q extends Parts>(
  quantizer: Quantizer<K, E, Q>,
  vectors: Tensor<[M, E]>,
  start: Q["start"]
): object => {
  const { name, parameters, state, statistics } = quantizer
  const found = quantizer.fit?.run(vectors, start) ?? {}
  const known = new Map(Tree.leaves({ ...parameters, ...state, ...statistics }))
  check(name, Tree.leaves(found).map(([path, leaf]) => [`fit: ${path}`, show(known.get(path)), show(leaf)]))
  return found
}

/**
 * Returns state and statistics of a quantizer after a batch.
 *
 * @throws ShapeError that names the quantizer, and the array that differs before and after the update.
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
