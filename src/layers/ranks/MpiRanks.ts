/** Ranks that are processes. They meet through MPI, which `Ranks.layerMpi` has begun. */
import type { Collectives, MpiOrigin } from "./Collectives.ts"
import * as Mpi from "./Mpi.ts"

/**
 * Opens the connection of a thread to the other ranks.
 *
 * @throws Error when the library cannot be loaded.
 */
export const open = ({ group, library, rank, size }: MpiOrigin): Collectives => {
  const mpi = Mpi.load(library)
  return {
    rank,
    size,
    sum: (values) => mpi.sum(values, group),
    exchange: (sent, received) => mpi.exchange(sent, received, group)
  }
}
