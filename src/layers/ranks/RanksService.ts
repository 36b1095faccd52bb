/** The service of the ranks, without what reaches them: a browser can load it. */
import { Context, Effect, Layer } from "effect"
import type { CollectivesOrigin } from "./Collectives.ts"
import type { RanksError } from "./RanksError.ts"

/** The ranks, as one of them sees them. */
export interface Ranks {
  /** The number of this rank, from 0. */
  readonly rank: number
  readonly size: number
  /** The number of ranks on this machine. */
  readonly local: number
  /** Sums an array over all ranks, in place. Afterwards every rank has the same bytes. */
  readonly allReduce: (values: Float32Array) => Effect.Effect<void, RanksError>
  /** Waits for all ranks. */
  readonly barrier: Effect.Effect<void, RanksError>
  /** Overwrites the bytes of all ranks by those of rank 0. All have the same length. */
  readonly broadcast: (bytes: Uint8Array) => Effect.Effect<void, RanksError>
  /** How the thread of an engine reaches the others; absent for one rank. */
  readonly collectives?: CollectivesOrigin
}

/** One rank. */
const single: Ranks = {
  rank: 0,
  size: 1,
  local: 1,
  allReduce: () => Effect.void,
  barrier: Effect.void,
  broadcast: () => Effect.void
}

/** The present ranks; by default this process alone. */
export const Ranks = Context.Reference<Ranks>("patchword/layers/Ranks", { defaultValue: () => single })

/** This process alone. */
export const layerSingle: Layer.Layer<never> = Layer.succeed(Ranks, single)
