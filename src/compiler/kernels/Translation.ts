/** Types and functions that all translations of kernels share. */
import * as tf from "@tensorflow/tfjs-core"
import type { Shape } from "../../shapes/Shape.ts"
import { type Attribute, type Element, numberOf } from "../graph/Graph.ts"
import { sameShape, type Tracer } from "../graph/Tracer.ts"

/** A tensor as TensorFlow.js passes it to kernels. */
export type Info = tf.TensorInfo

/** The results of a kernel. */
export type Emitted = Info | Array<Info>

/** Translates a kernel of TensorFlow.js into ONNX operators. Inputs and attributes have the names that TensorFlow.js uses. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Translation = (t: Tracer, inputs: any, attributes: any) => Emitted

/** Translations by the name of the kernel. */
export type Translations = Readonly<Record<string, Translation>>

export { size } from "../../shapes/HostTensor.ts"

export const broadcast = (a: Shape, b: Shape): Array<number> =>
  tf.backend_util.assertAndGetBroadcastShape([...a], [...b])

/** Returns axes counted from the front and in order. Without given axes, it returns all axes. */
export const axesOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): Array<number> =>
  axis === undefined || axis === null
    ? Array.from({ length: rank }, (_, i) => i)
    : [axis].flat().map((one) => (one < 0 ? one + rank : one)).toSorted((a, b) => a - b)

/** Returns one axis, counted from the front. */
export const axisOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): number =>
  axesOf(axis, rank)[0] ?? 0

/** Returns the least divisor of a length that is not below a number. */
export const divisorFrom = (length: number, least: number): number => {
  for (let divisor = least;; divisor++) if (length % divisor === 0) return divisor
}

/** Returns a shape without the given axes, or with ones in their place. */
export const reduced = (shape: Shape, axes: ReadonlyArray<number>, keepDims: boolean): Array<number> =>
  keepDims ? shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.includes(axis))

export const cast = (t: Tracer, name: string, dtype: "int64" | tf.DataType): string =>
  t.graph.emit("Cast", [name], { to: numberOf(dtype as Element) })

/** Returns the name of a tensor broadcast to a shape. */
export const expanded = (t: Tracer, x: Info, shape: Shape): string =>
  sameShape(x.shape, shape) ? t.name(x) : t.graph.emit("Expand", [t.name(x), t.graph.integers(shape)])

/** Translates to one operator. The result has the shape of the input `like` and the element type of the first input. */
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
