/** Turns the nodes of a step into one function, which XLA compiles as a whole. */
import * as ResultNames from "./ResultNames.ts"
import type { Argument, Element, Function, Node } from "./SavedModel.ts"

const NAME = "step"

/** A value that the step reads or returns, with the name of a node's result. */
interface Value {
  readonly id: string
  readonly dtype: Element
}

const nodeOf = (id: string): string => id.split(":")[0]!

/**
 * Returns the function, and the node `call` that calls it. `given` are results of other nodes that the step reads. The results
 * of `call` are those of `wanted`, in order.
 */
export const make = (
  nodes: ReadonlyArray<Node>,
  given: ReadonlyArray<Value>,
  wanted: ReadonlyArray<Value>
): { readonly function: Function; readonly call: Node } => {
  const operations = new Map(nodes.map(({ name, operation }) => [name, operation]))
  const within = (id: string): string => {
    if (id.startsWith("^")) return id
    const [name, result] = id.split(":")
    const operation = operations.get(name!)
    return operation === undefined ? name! : `${name}:${ResultNames.of(operation, Number(result))}`
  }
  const argument = ({ dtype, id }: Value): Argument => ({ name: nodeOf(id), dtype })
  return {
    function: {
      name: NAME,
      arguments: given.map(argument),
      nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(within) })),
      results: wanted.map(({ dtype, id }, k) => ({ name: `r${k}`, dtype, value: within(id) }))
    },
    call: {
      name: "call",
      operation: "StatefulPartitionedCall",
      inputs: given.map(({ id }) => id),
      attributes: {
        Tin: { types: given.map(({ dtype }) => dtype) },
        Tout: { types: wanted.map(({ dtype }) => dtype) },
        f: { function: NAME },
        _XlaMustCompile: true
      }
    }
  }
}
