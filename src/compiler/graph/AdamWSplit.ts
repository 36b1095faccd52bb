/**
 * Takes AdamW updates out of a graph. The engine then updates a parameter and its moments after the graph. All gradients are
 * known then, so it takes one pass over memory instead of the fourteen passes of operators.
 */
import type * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import type { Attributes, Graph, Node, Output, Value } from "./Graph.ts"

/** The name of the operation (`FusedAdamW.update`). Its attributes name its operands, and those that it replaces. */
export const ADAMW = "adamW"

/** The names of the factors of a step. */
export type Factors = { readonly [K in keyof FusedAdamW.Factors]: string }

/** The update of one parameter (`FusedAdamW.update`). All members are names: of inputs that are replaced, and of outputs. */
export interface AdamWUpdate {
  readonly parameter: string
  readonly first: string
  readonly second: string
  /** The mean gradient, if several steps make one update. */
  readonly mean?: string
  /** The moving average of the parameter, if one is kept. */
  readonly ema?: string
  readonly gradient: string
  readonly factors: Factors
}

/** A graph without its updates. It outputs the values that they read, and not the states that they make. */
export interface Split {
  readonly graph: Graph
  readonly adamw: ReadonlyArray<AdamWUpdate>
}

interface Update {
  readonly update: AdamWUpdate
  /** The outputs that the engine makes. */
  readonly made: ReadonlyArray<string>
  /** The outputs that the engine reads. */
  readonly read: ReadonlyArray<Output>
}

/** Returns the update of a call, if it replaces exactly the states that it reads. */
const updateOf = (
  { attributes, inputs, outputs }: Node,
  byValue: ReadonlyMap<string, Output>
): ReadonlyArray<Update> => {
  const { operands, replaced } = attributes as Attributes & {
    readonly operands: ReadonlyArray<string>
    readonly replaced: ReadonlyArray<string>
  }
  const given = Object.fromEntries(operands.map((key, i) => [key, inputs[i]!]))
  const made = replaced.map((key) => given[key]!.name.replace(/^state\./, "next."))
  if (made.some((name, i) => name !== byValue.get(outputs[i]!.name)?.name)) return []
  const { ema, first, gradient, mean, parameter, second, ...numbers } = given
  const output = (value: Value, name: string): Output => ({ name, value })
  const factors = Object.entries(numbers).map(([key, value]) => [key, output(value, `factor.${value.name}`)] as const)
  const read = output(gradient!, parameter!.name.replace("state.", "gradient."))
  return [{
    made,
    read: [...factors.map(([, factor]) => factor), read],
    update: {
      parameter: parameter!.name,
      first: first!.name,
      second: second!.name,
      ...(mean === undefined ? {} : { mean: mean.name }),
      ...(ema === undefined ? {} : { ema: ema.name }),
      gradient: read.name,
      factors: Object.fromEntries(factors.map(([key, { name }]) => [key, name])) as Factors
    }
  }]
}

/** Splits off all updates that replace exactly the states that they read. */
export const split = (graph: Graph): Split => {
  const byValue = new Map(graph.outputs.map((output) => [output.value.name, output]))
  const updates = graph.nodes.filter(({ operation }) => operation === ADAMW).flatMap((node) => updateOf(node, byValue))
  const made = new Set(updates.flatMap((update) => update.made))
  const outputs = new Map(graph.outputs.filter(({ name }) => !made.has(name)).map((output) => [output.name, output]))
  for (const output of updates.flatMap(({ read }) => read)) outputs.set(output.name, output)
  return { graph: { ...graph, outputs: Array.from(outputs.values()) }, adamw: updates.map(({ update }) => update) }
}
