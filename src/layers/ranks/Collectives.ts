/**
 * What a worker thread needs to talk to the other ranks of a job. A rank is one of several workers that train together, each on its
 * share of the batch.
 */

/** The connection of one rank to all others. All calls block. All ranks make the same calls in the same order. */
export interface Collectives {
  /** The number of this rank, from 0. */
  readonly rank: number
  readonly size: number
  /** Sums an array over all ranks, in place. Afterwards every rank has the same bytes. */
  readonly sum: (values: Float32Array) => void
  /**
   * Sends an equal part of an array to each rank, and receives one from each, in the order of the ranks. Both arrays have the same length, a
   * multiple of the number of ranks.
   */
  readonly exchange: (sent: Uint16Array, received: Uint16Array) => void
}

/** How ranks that are threads of one process meet: the memory that they share, and the place of one among them. */
export interface ThreadsOrigin {
  readonly kind: "threads"
  readonly memory: SharedArrayBuffer
  readonly rank: number
  readonly size: number
}

/** How ranks that are processes meet: the file of the library of MPI, and their communicators in it. */
export interface MpiOrigin {
  readonly kind: "mpi"
  readonly library: string
  readonly group: number | bigint
  /** Another communicator of the same ranks, for keys and values (`KeyValues`). */
  readonly keys: number | bigint
  readonly rank: number
  readonly size: number
}

/** How a worker opens its connection (`Connection.open`): plain data that passes to a thread. */
export type CollectivesOrigin = ThreadsOrigin | MpiOrigin
