/** Opens the connection of a worker thread to the other ranks. */
import type { Collectives, CollectivesOrigin } from "./Collectives.ts"
import * as MpiRanks from "./MpiRanks.ts"
import * as ThreadRanks from "./ThreadRanks.ts"

/**
 * Opens the connection of a rank.
 *
 * @throws Error when the others cannot be reached.
 */
export const open = (origin: CollectivesOrigin): Collectives =>
  origin.kind === "mpi" ? MpiRanks.open(origin) : ThreadRanks.open(origin)
