/** Tells the values that differ between devices from those that are the same on all of them. */
import type { Graph, Output } from "./Graph.ts"

/** The names of the operations on all devices: the sum, the mean, and the place of a device among them. */
export const PSUM = "psum"
export const PMEAN = "pmean"
export const RANK = "rank"

/** What is wrong with a graph for several devices. */
export interface Varying {
  /** Outputs that differ between devices. */
  readonly outputs: ReadonlyArray<Output>
  /** True if a sum is taken over devices that have the same value. */
  readonly sumsEqual: boolean
}

/** Follows the inputs that differ between devices through a graph. */
export const of = ({ nodes, outputs }: Graph, inputs: Iterable<string>): Varying => {
  const varying = new Set(inputs)
  let sumsEqual = false
  for (const node of nodes) {
    const reads = node.inputs.some(({ name }) => varying.has(name))
    if (node.operation === PSUM) sumsEqual ||= !reads
    else if (node.operation === RANK || (reads && node.operation !== PMEAN)) {
      for (const { name } of node.outputs) varying.add(name)
    }
  }
  return { outputs: outputs.filter(({ value }) => varying.has(value.name)), sumsEqual }
}
