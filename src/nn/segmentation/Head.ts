/**
 * The interface of segmentation heads. A head turns the patch tokens of four blocks into logits of pixels. A segmenter takes any
 * value of this type. Ours are `LinearHead` and `UperNet`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LinearHead, type Head } from "patchword/nn"
 *
 * const head: Head.Head<768, 150> = LinearHead.make({ width: 768, classes: 150 })
 * assert.strictEqual(head.name, "linear")
 * ```
 */
import type { Pixels } from "../../shapes/maps/FeatureMap.ts"
import type { SpecOf } from "../../shapes/Step.ts"
import type * as Parameter from "../blocks/Parameter.ts"
import type { Norms } from "./Norms.ts"

/** The records of tensors of a head, under their official names. */
export interface Parts {
  /** Parameters that the optimizer learns. Those under `backbone` are beside the transformer's. */
  readonly parameters: object
  /** The running statistics of batch normalisations. */
  readonly running: object
  /** The factors of dropped channels in a training step, which the host draws. Each has one row per image. */
  readonly dropout: object
}

/** The maps of four blocks, `[B, H, W, C]`, one pixel for each patch. */
export type Maps<B extends number, C extends number> = readonly [
  Pixels<B, C>,
  Pixels<B, C>,
  Pixels<B, C>,
  Pixels<B, C>
]

/** The logits of a head, `[B, H, W, K]`, at any resolution. */
export interface Logits<B extends number, K extends number> {
  readonly main: Pixels<B, K>
  /** The logits of an auxiliary head, which only training reads. */
  readonly auxiliary?: Pixels<B, K>
}

/** The inputs of a forward pass besides parameters and maps. */
export interface Context<Q extends Parts> {
  readonly running: Q["running"]
  readonly norms: Norms
  /** Absent if nothing is dropped. */
  readonly dropout?: Q["dropout"] | undefined
}

/** A head on maps of `C` channels for `K` classes. All its functions are pure. The default `Q` hides the head's own parts. */
export interface Head<C extends number, K extends number, Q extends Parts = Parts> {
  /** The name in files and errors. */
  readonly name: string
  readonly classes: K
  readonly parameters: Parameter.ParametersOf<Q["parameters"]>
  readonly running: Parameter.ParametersOf<Q["running"]>
  /** Specifies the factors of dropped channels for a number of images. */
  dropout(batch: number): SpecOf<Q["dropout"]>
  /** Computes logits. */
  forward<B extends number>(
    params: Q["parameters"],
    maps: Maps<B, C>,
    context: Context<Q>
  ): Logits<B, K>
}
