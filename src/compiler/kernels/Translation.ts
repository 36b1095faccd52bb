/** What the translations of kernels share. */
import * as tf from "@tensorflow/tfjs-core"
import type { Shape } from "../../shapes/Shape.ts"
import { type Attribute, type Element, numberOf } from "../graph/Graph.ts"
import { sameShape, type Tracer } from "../graph/Tracer.ts"

/** A tensor as TensorFlow.js hands it to kernels. */
export type Info = tf.TensorInfo

/** The results of a kernel. */
export type Emitted = Info | Array<Info>

/** A kernel of TensorFlow.js in ONNX: what it emits for its inputs. These and attributes are named as TensorFlow.js passes them. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Translation = (t: Tracer, inputs: any, attributes: any) => Emitted

/** Translations by the name of the kernel. */
export type Translations = Readonly<Record<string, Translation>>

/** The domain of ONNX Runtime's own operators. */
export const MICROSOFT = "com.microsoft"

export { size } from "../../shapes/HostTensor.ts"

export const broadcast = (a: Shape, b: Shape): Array<number> =>
  tf.backend_util.assertAndGetBroadcastShape([...a], [...b])

/** Axes as TensorFlow.js gives them, counted from the front and in order; all axes when none are given. */
export const axesOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): Array<number> =>
  axis === undefined || axis === null
    ? Array.from({ length: rank }, (_, i) => i)
    : [axis].flat().map((one) => (one < 0 ? one + rank : one)).toSorted((a, b) => a - b)

/** One axis, counted from the front. */
export const axisOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): number =>
  axesOf(axis, rank)[0] ?? 0

/** A shape without the given axes, or with ones in their place. */
export const reduced = (shape: Shape, axes: ReadonlyArray<number>, keepDims: boolean): Array<number> =>
  keepDims ? shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.includes(axis))

export const cast = (t: Tracer, name: string, dtype: "int64" | tf.DataType): string =>
  t.graph.emit("Cast", [name], { to: numberOf(dtype as Element) })

/** The name of a tensor's elements repeated to a shape. */
export const expanded = (t: Tracer, x: Info, shape: Shape): string =>
  sameShape(x.shape, shape) ? t.name(x) : t.graph.emit("Expand", [t.name(x), t.graph.integers(shape)])

/** An operator whose result has the shape of one of its inputs, and the element type of the first. */
export const operator = (
  operation: string,
  inputNames: ReadonlyArray<string>,
  like: string,
  attributesOf: (attributes: Record<string, number>) => Record<string, Attribute> = () => ({}),
  domain?: string
): Translation =>
(t, inputs: Record<string, Info>, attributes: Record<string, number>) => {
  const names = inputNames.map((name) => t.name(inputs[name]!))
  const { dtype } = inputs[inputNames[0]!]!
  return t.computed(t.graph.emit(operation, names, attributesOf(attributes), domain), inputs[like]!.shape, dtype)
}
