/**
 * Parameters before they have values: their shapes and initialisations. The path of a parameter is its official name.
 *
 * The official code initialises in three ways. Fine-tuning and the tokenizer draw from a normal distribution whose truncation
 * has no effect in practice. Pretraining truncates it at one standard deviation. The aggregation blocks are created after the
 * global initialisation and keep PyTorch's default.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Parameter } from "patchword/nn"
 *
 * const spec = { weight: Parameter.normal([4, 3], Parameter.finetuning), bias: Parameter.zeros([4]) }
 * const { bias, weight } = Parameter.initialise(spec, 0)
 * assert.deepStrictEqual(weight.shape, [4, 3])
 * assert.deepStrictEqual(bias.data, new Float32Array(4))
 * ```
 */
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { TensorSpec } from "../../shapes/Step.ts"
import type { Any } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"

/** The initialisation of a network's weights. */
export interface Regime {
  readonly name: "pretraining" | "finetuning" | "aggregation"
  /** The standard deviation of the normal distribution of weights. */
  readonly deviation: number
  /** The truncation bound. Values further from zero are drawn again. */
  readonly cut: number
}

/**
 * The regime of fine-tuned networks and tokenizers. The standard deviation is 0.02. The truncation at ±2 has no effect in
 * practice.
 */
export const finetuning: Regime = { name: "finetuning", deviation: 0.02, cut: 2 }

/** The regime of pretrained networks. Truncation at one standard deviation leaves 0.54 of the standard deviation. */
export const pretraining = (deviation: number): Regime => ({ name: "pretraining", deviation, cut: deviation })

/** The regime of aggregation blocks. None of their weights are drawn from a normal distribution. */
export const aggregation: Regime = { ...finetuning, name: "aggregation" }

/** The distribution of a parameter's initial values. */
export type Init =
  | { readonly _tag: "Normal"; readonly deviation: number; readonly cut: number }
  | { readonly _tag: "Uniform"; readonly bound: number }
  | { readonly _tag: "Constant"; readonly value: number }

/** A parameter without values. Every drawn value is multiplied by `factor`. */
export interface Parameter<in out S extends Shape> extends TensorSpec<S, "float32"> {
  readonly init: Init
  readonly factor: number
}

/** The type of a record of tensors with a parameter in place of every tensor. */
export type ParametersOf<T> = T extends Any ? Parameter<T["shape"]> : { readonly [K in keyof T]: ParametersOf<T[K]> }

type Mutable<S extends Shape> = { -readonly [K in keyof S]: S[K] }

const make = <const S extends Shape>(shape: S, init: Init, factor = 1): Parameter<Mutable<S>> => ({
  shape: shape as Mutable<S>,
  dtype: "float32",
  init,
  factor
})

/** A parameter with equal initial values. */
export const constant = <const S extends Shape>(shape: S, value: number) => make(shape, { _tag: "Constant", value })

/** A parameter of zeros. */
export const zeros = <const S extends Shape>(shape: S) => constant(shape, 0)

/** A parameter of ones. */
export const ones = <const S extends Shape>(shape: S) => constant(shape, 1)

/** A parameter that is uniform within ±`1/√fanIn`, PyTorch's default for linear layers and convolutions. */
export const byFanIn = <const S extends Shape>(shape: S, fanIn: number, factor = 1) =>
  make(shape, { _tag: "Uniform", bound: 1 / Math.sqrt(fanIn) }, factor)

/** A parameter from the regime's normal distribution: the weight of a linear layer, a token or a position table. */
export const normal = <const S extends Shape>(shape: S, regime: Regime, factor = 1) =>
  make(shape, { _tag: "Normal", deviation: regime.deviation, cut: regime.cut }, factor)

/** The weight of a linear layer in a block. Aggregation blocks keep PyTorch's default. */
export const linearWeight = <const S extends readonly [number, number]>(shape: S, regime: Regime, factor = 1) =>
  regime.name === "aggregation" ? byFanIn(shape, shape[1], factor) : normal(shape, regime, factor)

/** The bias of a linear layer with `fanIn` inputs in a block. */
export const linearBias = <const S extends Shape>(shape: S, fanIn: number, regime: Regime) =>
  regime.name === "aggregation" ? byFanIn(shape, fanIn) : zeros(shape)

/** The type of a record of parameters with a host array in place of every parameter. */
export type ValuesOf<T> = T extends { readonly shape: infer S extends Shape; readonly init: Init }
  ? HostTensor.HostTensor<S, "float32">
  : { readonly [K in keyof T]: ValuesOf<T[K]> }

/**
 * Draws initial values of every parameter. Each parameter has its own random stream, so an additional parameter changes no
 * other.
 */
export const initialise = <T extends object>(spec: T, seed: number): ValuesOf<T> =>
  Tree.map<ValuesOf<T>>(spec, (leaf, path) => {
    const { factor, init, shape } = leaf as Parameter<Shape>
    const values = new Float32Array(HostTensor.size(shape))
    const key = { seed, purpose: `init/${path}`, epoch: 0, index: 0 }
    if (init._tag === "Constant") values.fill(init.value * factor)
    else if (init._tag === "Uniform") KeyedRandom.fillUniform(values, key, init.bound, factor)
    else KeyedRandom.fillNormal(values, key, init, factor)
    return HostTensor.make(shape, "float32", values)
  })

/** Creates zeros in the shapes of a record: the optimizer's moments before the first step. */
export const zerosLike = <T extends object>(spec: T): ValuesOf<T> =>
  Tree.map<ValuesOf<T>>(spec, ({ shape }) => HostTensor.zeros(shape, "float32"))
