/**
 * AdamW with decoupled weight decay and gradient clipping by the global norm, as in PyTorch.
 *
 * An update happens only if the norm of all gradients is finite. Otherwise the step leaves every value unchanged, to the bit.
 * Every new value depends on that norm, which has read all gradients. So an engine may write the new state over the old one.
 *
 * Several steps may make one update (gradient accumulation). Each step adds its share to the mean gradient, which is part of
 * the state. The last step updates the parameters with it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { AdamW } from "patchword/nn"
 * import { HostTensor } from "patchword/shapes"
 *
 * const { correction, epsilon, rate } = AdamW.hyper(0, 1e-3, { betas: [0.9, 0.999], eps: 1e-8 })
 * assert.strictEqual(HostTensor.item(rate), Math.fround(1e-3))
 * assert.ok(Math.abs(HostTensor.item(correction) - Math.sqrt(0.001) / 0.1) < 1e-6)
 * assert.ok(HostTensor.item(epsilon) < 1e-8)
 * ```
 */
import { add, atMost, isFinite, mul, reciprocal, scale, select, shift, square, sub } from "../../shapes/Elementwise.ts"
import * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import { globalNorm } from "../../shapes/Reduction.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Step from "../../shapes/Step.ts"
import { fill, type Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Parameter from "../blocks/Parameter.ts"

type Scalar = Tensor<[]>

/**
 * Parameters with their first and second moments (`exp_avg`, `exp_avg_sq`). If several steps make one update, there is also
 * the mean gradient of the steps so far. If the weights are averaged, there is their exponential moving average.
 */
export interface State<P> {
  readonly parameters: P
  readonly first: P
  readonly second: P
  readonly mean?: P
  readonly ema?: P
}

/** The values that change from step to step. `hyper` makes them on the host. */
export interface Hyper {
  /** The learning rate. */
  readonly rate: Scalar
  /** `√(1-β₂ᵗ) / (1-β₁ᵗ)`. */
  readonly correction: Scalar
  /** `ε √(1-β₂ᵗ)`. */
  readonly epsilon: Scalar
  /** The weight decay, if it changes from update to update. */
  readonly weightDecay?: Scalar
  /** The mean gradient in this step, if several steps make one update. */
  readonly mean?: {
    /** The factor of the mean gradient so far: 0 in the first step of an update. */
    readonly keep: Scalar
    /** True in the last step of an update, which changes the parameters. */
    readonly taken: Tensor<[], "bool">
  }
}

/** The options that stay the same in every step. */
export interface Options {
  readonly betas: readonly [number, number]
  readonly weightDecay: number
  /** Weight decay at the end of its schedule, which `Hyper` follows; absent if it is constant. */
  readonly weightDecayEnd?: number | undefined
  /** The maximal global norm of the gradients, or null for no clipping. */
  readonly clipNorm: number | null
  /** The number of steps that make one update. 1 by default. */
  readonly accumulate?: number | undefined
  /** The share of the moving average of the weights that an update leaves; null or absent for no average. */
  readonly ema?: number | null | undefined
  /** True for parameters that weight decay acts on. */
  readonly decays: (name: string, rank: number) => boolean
  /** The factor of a parameter's learning rate. 1 by default. */
  readonly scale?: (name: string) => number
}

/**
 * Makes the options of an update from a configuration that may hold more, such as a stage's `optimizer`. The default of `scale`
 * leaves every learning rate unchanged.
 */
export const of = (
  config: Omit<Options, "decays" | "scale">,
  decays: Options["decays"],
  scale: (name: string) => number = () => 1
): Options => {
  const { accumulate, betas, clipNorm, ema, weightDecay, weightDecayEnd } = config
  return { accumulate, betas, clipNorm, ema, weightDecay, weightDecayEnd, decays, scale }
}

/** Copies the arrays of a record, because an engine takes over the arrays of a state. */
const copied = <T extends object>(parameters: T): T => {
  const arrays = new Map(Tree.leaves<HostTensor.Any>(parameters))
  return Tree.map<T>(parameters, (leaf, path) => ({ ...leaf, data: arrays.get(path)!.data.slice() }))
}

const scalarSpec: Step.SpecOf<Scalar> = { shape: [], dtype: "float32" }

/** Tests whether the weight decay changes from update to update. */
export const isScheduled = (options: Partial<Pick<Options, "weightDecay" | "weightDecayEnd">>): boolean => {
  const { weightDecay, weightDecayEnd } = options
  return weightDecayEnd !== undefined && weightDecayEnd !== weightDecay
}

/** The options that the members of a state and of `Hyper` depend on. */
type Members = Partial<Pick<Options, "accumulate" | "ema" | "weightDecay" | "weightDecayEnd">>

/** Specifies `Hyper` in a batch. */
export const hyperSpec = (options: Members = {}): Step.SpecOf<Hyper> => ({
  rate: scalarSpec,
  correction: scalarSpec,
  epsilon: scalarSpec,
  ...(isScheduled(options) ? { weightDecay: scalarSpec } : {}),
  ...((options.accumulate ?? 1) > 1 ? { mean: { keep: scalarSpec, taken: { shape: [], dtype: "bool" } } } : {})
})

/** Specifies the state of parameters. */
export const stateSpec = <P extends object>(parameters: P, options: Members = {}) => ({
  parameters,
  first: parameters,
  second: parameters,
  ...((options.accumulate ?? 1) > 1 ? { mean: parameters } : {}),
  ...(typeof options.ema === "number" ? { ema: parameters } : {})
})

/** Creates the state before the first step. The moving average begins as a copy of the weights (timm's `ModelEma`). */
export const initial = <P extends object>(
  parameters: Parameter.ValuesOf<P>,
  spec: P,
  options: Members = {}
) => ({
  parameters,
  first: Parameter.zerosLike(spec),
  second: Parameter.zerosLike(spec),
  ...((options.accumulate ?? 1) > 1 ? { mean: Parameter.zerosLike(spec) } : {}),
  ...(typeof options.ema === "number" ? { ema: copied(parameters) } : {})
})

/** Splits a state into the weights, with their moving average and a step's own buffers, and the optimizer state, which only further training needs. */
export const split = <P extends object, S extends object>(state: State<P> & S) => {
  const { first, mean, second, ...weights } = state
  return { weights, optimizer: { first, second, ...(mean === undefined ? {} : { mean }) } }
}

/** Joins the two parts that {@link split} made. It takes states or their tensors by name. */
export const join = <W extends object, O extends object>(
  parts: { readonly weights: W; readonly optimizer: O }
): W & O => ({ ...parts.weights, ...parts.optimizer })

/**
 * Computes the values of step `step`, counted from 0, at a learning rate. `before` is the number of updates that the initial
 * moments contain. `weightDecay` is that of the step, if it changes.
 */
export const hyper = (
  step: number,
  rate: number,
  options: Pick<Options, "betas" | "accumulate"> & { readonly eps: number },
  before = 0,
  weightDecay?: number
) => {
  const { accumulate = 1, betas: [beta1, beta2], eps } = options
  const updates = Math.floor(step / accumulate) + 1 + before
  const root = Math.sqrt(1 - beta2 ** updates)
  const place = step % accumulate
  return {
    rate: HostTensor.scalar(rate),
    correction: HostTensor.scalar(root / (1 - beta1 ** updates)),
    epsilon: HostTensor.scalar(eps * root),
    ...(weightDecay === undefined ? {} : { weightDecay: HostTensor.scalar(weightDecay) }),
    ...(accumulate === 1 ? {} : {
      mean: {
        keep: HostTensor.scalar(place === 0 ? 0 : 1),
        taken: HostTensor.make([], "bool", Uint8Array.of(place === accumulate - 1 ? 1 : 0))
      }
    })
  }
}

const byPath = (tree: object | undefined) => new Map(tree && Tree.leaves<Tensor<Shape>>(tree))

/** Adds the gradients' share to the mean gradient so far. */
const averaged = <P extends object>(mean: P, keep: Scalar, gradients: P, share: Scalar): P => {
  const others = byPath(gradients)
  return Tree.map<P>(mean, (leaf, path) => FusedAdamW.average(leaf as Tensor<Shape>, keep, others.get(path)!, share))
}

/** Applies the update to every parameter, with the factors for its name and rank. */
const each = <P extends object>(
  { ema, first, mean, parameters, second }: State<P>,
  gradients: P,
  factorsOf: (name: string, rank: number) => FusedAdamW.Factors
): State<P> => {
  const [gradientOf, firstOf, secondOf, meanOf, emaOf] = Step.part(() =>
    [gradients, first, second, mean, ema].map(byPath)
  )
  const leaves = Step.part(() => Tree.leaves<Tensor<Shape>>(parameters))
  const next = new Map(
    Step.each(leaves, ([path, parameter]) => {
      const [first, second] = [firstOf!.get(path)!, secondOf!.get(path)!]
      const moments = { parameter, first, second, mean: meanOf!.get(path), ema: emaOf!.get(path) }
      return [
        path,
        FusedAdamW.update(moments, gradientOf!.get(path)!, factorsOf(path, parameter.shape.length))
      ] as const
    })
  )
  const pick = (key: keyof FusedAdamW.Moments<Shape>) => Tree.map<P>(parameters, (_, path) => next.get(path)![key])
  return {
    parameters: pick("parameter"),
    first: pick("first"),
    second: pick("second"),
    ...(mean === undefined ? {} : { mean: pick("mean") }),
    ...(ema === undefined ? {} : { ema: pick("ema") })
  }
}

/**
 * Returns the state after one step, the norm of the gradients before clipping, and `finite`: true if that norm and the loss are
 * finite. Otherwise the state stays as it was. A loss can overflow while its gradients do not. If several steps make one
 * update, the norm is that of the mean gradient so far. A moving average of the weights takes the new weights after each update.
 *
 * @throws ShapeError when options, state and hyper are for different numbers of steps per update, or state and options differ
 * about the moving average, or hyper and options about the weight decay.
 */
export const update = <P extends object>(
  state: State<P>,
  gradients: P,
  hyper: Hyper,
  options: Options,
  loss?: Scalar
) => {
  const { correction, epsilon, mean, rate } = hyper
  const { accumulate = 1, betas: [beta1, beta2], clipNorm, decays, scale: scaleOf = () => 1, weightDecay } = options
  const several = [accumulate > 1, state.mean !== undefined, mean !== undefined]
  if (new Set(several).size > 1) {
    throw new ShapeError.ShapeError(
      `AdamW: ${accumulate} steps make one update, but state or hyper are for another number; use the same \`accumulate\` for all`
    )
  }
  const { ema: decayOfEma = null } = options
  if ((state.ema === undefined) !== (decayOfEma === null)) {
    throw new ShapeError.ShapeError(
      `AdamW: ${
        state.ema === undefined ? "the options" : "the state"
      } alone ask for a moving average of the weights; ` +
        "give `ema` to both or to none"
    )
  }
  if (isScheduled(options) !== (hyper.weightDecay !== undefined)) {
    throw new ShapeError.ShapeError(
      "AdamW: options and hyper differ about a weight decay that changes; give both the same options"
    )
  }
  const one = fill([], 1)
  const share = fill([], 1 / accumulate)
  const norm = globalNorm(state.mean && mean ? averaged(state.mean, mean.keep, gradients, share) : gradients)
  const finite = isFinite(loss === undefined ? norm : add(norm, loss))
  const clip = clipNorm === null ? one : atMost(scale(reciprocal(shift(norm, 1e-6)), clipNorm), 1)

  // `taken` if the step is finite and the last of its update, otherwise a value that changes nothing.
  const either = (taken: Scalar, still: number) => {
    const otherwise = fill([], still)
    return select(finite, mean === undefined ? taken : select(mean.taken, taken, otherwise), otherwise)
  }
  const keepFirst = either(fill([], beta1), 1)
  const keepSecond = either(fill([], beta2), 1)
  const takeFirst = either(scale(clip, 1 - beta1), 0)
  const takeSecond = either(scale(square(clip), 1 - beta2), 0)
  const step = either(mul(rate, correction), 0)
  const decay = either(hyper.weightDecay === undefined ? scale(rate, weightDecay) : mul(rate, hyper.weightDecay), 0)
  const shared = { finite, keepFirst, takeFirst, keepSecond, takeSecond, epsilon }
  const means = mean && { keepMean: select(finite, mean.keep, one), takeMean: select(finite, share, fill([], 0)) }

  const ema = decayOfEma === null
    ? undefined
    : { keepEma: either(fill([], decayOfEma), 1), takeEma: either(fill([], 1 - decayOfEma), 0) }

  // Parameters that share a factor share the scalars.
  const lengths = Step.part(() => new Map<number, { readonly step: Scalar; readonly keep: Scalar }>())
  const lengthsAt = (factor: number) =>
    Step.part(() => {
      const made = lengths.get(factor) ?? { step: scale(step, factor), keep: sub(one, scale(decay, factor)) }
      lengths.set(factor, made)
      return made
    })
  const next = each(state, gradients, (name, rank) => {
    const { keep, step } = lengthsAt(scaleOf(name))
    return { ...shared, step, keep: weightDecay > 0 && decays(name, rank) ? keep : undefined, ...means, ...ema }
  })
  return { state: next, norm, finite }
}
