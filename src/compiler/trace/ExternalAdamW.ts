/** Separates AdamW updates from a graph. The engine updates a parameter and its moments after the graph. */
import * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Value } from "../graph/Graph.ts"
import type { ExternalKernel, Tracer } from "../graph/Tracer.ts"
import type { AdamWUpdate } from "./Program.ts"
import type { Result } from "./TracedGraph.ts"

/** The block size in which engines transpose gradients. The graph transposes matrices that these blocks do not divide. */
export const TRANSPOSED_BLOCK = { rows: 32, columns: 4 } as const

const isTransposable = ([rows, columns]: Shape): boolean =>
  rows! % TRANSPOSED_BLOCK.rows === 0 && columns! % TRANSPOSED_BLOCK.columns === 0

/** The values that AdamW reads from the graph. */
interface Read {
  readonly gradient: Result
  readonly transposed: boolean
  readonly factors: ReadonlyArray<readonly [name: string, factor: Result]>
}

const result = (value: Value, name: string): Result => ({ ...value, name, source: value.name })

const read = (tracer: Tracer, { inputs }: ExternalKernel): Read => {
  const { first: _, gradient, mean, parameter, second: __, ...factors } = inputs
  const before = tracer.beforeTransposing(gradient!.name)
  // The norm of a mean needs the gradient as it is.
  const transposed = before !== undefined && mean === undefined && isTransposable(gradient!.shape)
  const value = transposed ? { ...gradient!, name: before, shape: gradient!.shape.toReversed() } : gradient!
  return {
    gradient: result(value, parameter!.name.replace("state.", "gradient.")),
    transposed,
    factors: Object.entries(factors).map(([key, factor]) => [key, result(factor, `factor.${factor.name}`)])
  }
}

/** Returns the names of the states that a kernel replaces, if it replaces exactly those that it reads. */
const replaced = (
  { inputs, outputs }: ExternalKernel,
  bySource: ReadonlyMap<string, Result>
): ReadonlyArray<string> | undefined => {
  const own = FusedAdamW.REPLACED.flatMap((key) => inputs[key]?.name.replace(/^state\./, "next.") ?? [])
  return own.every((name, i) => name === bySource.get(outputs[i]!)?.name) ? own : undefined
}

/** Splits off the AdamW updates. The graph then outputs the values that they read, and not the states that they make. */
export const split = (
  tracer: Tracer,
  next: ReadonlyArray<Result>
): { readonly adamw: ReadonlyArray<AdamWUpdate>; readonly results: ReadonlyArray<Result> } => {
  const bySource = new Map(next.map((state) => [state.source, state]))
  const results = new Map(next.map((state) => [state.name, state]))
  const adamw = tracer.external.flatMap((kernel): ReadonlyArray<AdamWUpdate> => {
    const own = replaced(kernel, bySource)
    if (own === undefined) return []
    for (const name of own) results.delete(name)
    const { factors, gradient, transposed } = read(tracer, kernel)
    for (const one of [...factors.map(([, factor]) => factor), gradient]) results.set(one.name, one)
    const { first, mean, parameter, second } = kernel.inputs
    return [{
      parameter: parameter!.name,
      first: first!.name,
      second: second!.name,
      ...(mean === undefined ? {} : { mean: mean.name }),
      gradient: gradient.name,
      transposed,
      factors: Object.fromEntries(factors.map(([key, { name }]) => [key, name]))
    }]
  })
  return { adamw, results: Array.from(results.values()) }
}
