/** Types and functions that all translations of kernels share. */
import type * as tf from "@tensorflow/tfjs-core"
import type { Shape } from "../../shapes/Shape.ts"
import { sameShape } from "../graph/Types.ts"
import * as Movement from "../operations/Movement.ts"
import type { Tracer } from "./Tracer.ts"

/** A tensor as TensorFlow.js passes it to kernels. */
export type Info = tf.TensorInfo

/** The results of a kernel. */
export type Emitted = Info | Array<Info>

/** Translates a kernel of TensorFlow.js into operations. Inputs and attributes have the names that TensorFlow.js uses. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Translation = (t: Tracer, inputs: any, attributes: any) => Emitted

/** Translations by the name of the kernel. */
export type Translations = Readonly<Record<string, Translation>>

/** Returns axes counted from the front and in order. Without given axes, it returns all axes. */
export const axesOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): Array<number> =>
  axis === undefined || axis === null
    ? Array.from({ length: rank }, (_, i) => i)
    : [axis].flat().map((one) => (one < 0 ? one + rank : one)).toSorted((a, b) => a - b)

/** Returns one axis, counted from the front. */
export const axisOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): number =>
  axesOf(axis, rank)[0] ?? 0

/** Returns a tensor broadcast to a shape. */
export const expanded = (t: Tracer, x: Info, shape: Shape): Info =>
  sameShape(x.shape, shape) ? x : t.emit(Movement.broadcastTo, [x], { shape })
