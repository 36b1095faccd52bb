/** A graph under construction. */
import type { Shape } from "../../shapes/Shape.ts"
import type { Attributes, Constant, Data, Node, Type, Value } from "./Graph.ts"

const SHARED_UP_TO = 16

/** Collects the calls and constants of a graph, and names their values. */
export class GraphBuilder {
  readonly nodes: Array<Node> = []
  readonly constants: Array<Constant> = []
  private readonly small = new Map<string, Constant>()
  private count = 0

  private named({ dtype, shape }: Type): Value {
    return { name: `v${this.count++}`, shape, dtype }
  }

  /** Adds a call and returns its results, which have the given types. */
  emit(
    operation: string,
    inputs: ReadonlyArray<Value>,
    types: ReadonlyArray<Type>,
    attributes: Attributes,
    flops: number
  ): ReadonlyArray<Value> {
    const outputs = types.map((type) => this.named(type))
    this.nodes.push({ operation, inputs, outputs, attributes, flops })
    return outputs
  }

  /** Adds a constant. Small constants of equal contents are one. */
  constant(data: Data, shape: Shape, dtype: Type["dtype"]): Value {
    const key = data.length <= SHARED_UP_TO ? `${dtype}|${shape.join()}|${data.join()}` : undefined
    const known = key === undefined ? undefined : this.small.get(key)
    if (known !== undefined) return known
    const constant = { ...this.named({ shape, dtype }), data }
    this.constants.push(constant)
    if (key !== undefined) this.small.set(key, constant)
    return constant
  }
}
