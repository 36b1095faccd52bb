/** A map of codes: places in the plane, so that codes with similar vectors are close to each other. */
import { Effect } from "effect"
import * as WorkerThread from "../../layers/machine/WorkerThread.ts"
import type { Options } from "./Umap.ts"

const OPTIONS: Options = { neighbours: 15, distance: 0.1 }

// Fewer codes have no neighbourhoods.
const FEWEST = 8

/** The method of the map. */
export const METHOD = `UMAP by cosine, ${OPTIONS.neighbours} neighbours, minimal distance ${OPTIONS.distance}`

/** The work of the thread. */
export interface Work {
  readonly vectors: Float32Array
  readonly width: number
  readonly options: Options
}

const program = WorkerThread.file("UmapWorker", import.meta.url)

/** Computes places in a thread of its own. The library of UMAP cannot pause, and the calling thread need not load it. */
const byThread = (work: Work): Effect.Effect<Float64Array> =>
  WorkerThread.answer(
    program,
    work,
    Effect.map(Effect.promise(() => import("./Umap.ts")), (Umap) => Umap.of(work.vectors, work.width, work.options))
  )

const onCircle = (size: number): Float64Array =>
  Float64Array.from({ length: 2 * size }, (_, i) => {
    const angle = 2 * Math.PI * Math.floor(i / 2) / size
    return i % 2 === 0 ? Math.cos(angle) : Math.sin(angle)
  })

/** Scales places to 0 to 1 by one factor for both axes. */
const scaled = (places: Float64Array): Float32Array => {
  const bounds = [0, 1].map((axis) => {
    let [low, high] = [Infinity, -Infinity]
    for (let i = axis; i < places.length; i += 2) [low, high] = [Math.min(low, places[i]!), Math.max(high, places[i]!)]
    return { low, length: high - low }
  })
  const longest = Math.max(...bounds.map(({ length }) => length)) || 1
  return Float32Array.from(places, (place, i) => {
    const { length, low } = bounds[i % 2]!
    return (place - low + (longest - length) / 2) / longest
  })
}

/**
 * Computes the places of vectors `[codes, width]` by UMAP (McInnes and others, 2018): `[codes, 2]` from 0 to 1. Neighbours are exact, and
 * random numbers are keyed, so equal vectors give equal maps. Fewer than 8 codes lie on a circle.
 */
export const of = (vectors: Float32Array, width: number): Effect.Effect<Float32Array> => {
  const size = vectors.length / width
  const places = size < FEWEST ? Effect.succeed(onCircle(size)) : byThread({ vectors, width, options: OPTIONS })
  return Effect.map(places, scaled)
}
