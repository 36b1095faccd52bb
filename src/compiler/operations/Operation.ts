/** An operation of the method: its meaning, and how it is written for each engine. */
import type { Attributes, Element, Type, Value } from "../graph/Graph.ts"
import type { OnnxWriter, Written } from "../onnx/OnnxWriter.ts"
import type { StableHloWriter } from "../stablehlo/StableHloWriter.ts"
import type { Id, NodeWriter } from "../tensorflow/NodeWriter.ts"

/** A call of an operation with the attributes `A`. */
export interface Call<A extends Attributes = Attributes> {
  readonly inputs: ReadonlyArray<Value>
  readonly attributes: A
  readonly outputs: ReadonlyArray<Value>
}

/**
 * What `Autocast` makes of an operation if products are in bf16. The rules are those of PyTorch's autocast:
 *
 * - `product`: takes factors in bfloat16, adds in float32, and rounds the sum to bfloat16;
 * - `widest`: computes in float32. The result has the widest element type of the operands;
 * - `moved`: as `widest`, but nothing is computed. Elements only change their places.
 *
 * All others compute in float32 and return float32: sums and means, norms, losses, powers and logarithms, choices by size.
 */
export type Rule = "product" | "widest" | "moved"

/** The parts of an operation. Methods make operations of all attributes one type. */
export interface Operation<A extends Attributes = Attributes> {
  readonly name: string
  /** Absent if the operation returns float32 in every precision. */
  readonly precision?: Rule
  /** Returns the types of the results. */
  types(operands: ReadonlyArray<Type>, attributes: A): ReadonlyArray<Type>
  /** Counts the floating-point operations of a matrix product. */
  flops?(operands: ReadonlyArray<Type>, attributes: A): number
  /** Writes a call as operators of ONNX. Absent if engines make the update after the graph. */
  onnx?(w: OnnxWriter, call: Call<A>): Written | ReadonlyArray<Written>
  /** Writes a call as TensorFlow nodes that read `operands`. Absent if engines make the update after the graph. */
  tensorflow?(w: NodeWriter, operands: ReadonlyArray<Id>, call: Call<A>): Id | ReadonlyArray<Id>
  /** Writes a call as operations of StableHLO on `operands`. Absent if engines make the update after the graph. */
  stablehlo?(
    w: StableHloWriter,
    operands: ReadonlyArray<Value<Element>>,
    call: Call<A>
  ): Value<Element> | ReadonlyArray<Value<Element>>
}

/** Returns the type of the first operand. */
export const same = (operands: ReadonlyArray<Type>): ReadonlyArray<Type> => operands.slice(0, 1)
