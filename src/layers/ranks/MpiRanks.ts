/** Ranks that are processes. They meet through MPI, which `Ranks.layerMpi` has begun. */
import type { Collectives, MpiOrigin } from "./Collectives.ts"
import type { Link } from "./KeyValues.ts"
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

/**
 * Opens the messages of keys and values. Those of another `number` are others.
 *
 * @throws Error when the library cannot be loaded.
 */
export const link = ({ keys, library, size }: MpiOrigin, number: number): Link => {
  const mpi = Mpi.load(library)
  return {
    size,
    send: (bytes, to) => {
      const pending = mpi.beginSend(bytes, to, keys, number)
      return () => mpi.isDone(pending)
    },
    receive: (from) => mpi.receive(from, keys, number)
  }
}
