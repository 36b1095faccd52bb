/** A map of codes: places in the plane, so that codes with similar vectors are close to each other. */
import { Effect } from "effect"
import * as CodeNeighbours from "../../domain/method/CodeNeighbours.ts"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"

const NEIGHBOURS = 15
const DISTANCE = 0.1

// Fewer codes have no neighbourhoods.
const FEWEST = 8

/** The method of the map. */
export const METHOD = `UMAP by cosine, ${NEIGHBOURS} neighbours, minimal distance ${DISTANCE}`

const onCircle = (size: number): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: size }, (_, i) => [Math.cos(2 * Math.PI * i / size), Math.sin(2 * Math.PI * i / size)])

/** Scales places to 0 to 1 by one factor for both axes. */
const scaled = (places: ReadonlyArray<ReadonlyArray<number>>): Float32Array => {
  const bounds = [0, 1].map((axis) => {
    let [low, high] = [Infinity, -Infinity]
    for (const place of places) [low, high] = [Math.min(low, place[axis]!), Math.max(high, place[axis]!)]
    return { low, length: high - low }
  })
  const longest = Math.max(...bounds.map(({ length }) => length)) || 1
  const found = new Float32Array(2 * places.length)
  for (const [i, place] of places.entries()) {
    for (const [axis, { length, low }] of bounds.entries()) {
      found[2 * i + axis] = (place[axis]! - low + (longest - length) / 2) / longest
    }
  }
  return found
}

/**
 * Computes the places of vectors `[codes, width]` by UMAP (McInnes and others, 2018): `[codes, 2]` from 0 to 1. Neighbours are exact, and
 * random numbers are keyed, so equal vectors give equal maps. Fewer than 8 codes lie on a circle.
 */
export const of = Effect.fnUntraced(function*(vectors: Float32Array, width: number) {
  const size = vectors.length / width
  if (size < FEWEST) return scaled(onCircle(size))
  const { UMAP } = yield* Effect.promise(() => import("umap-js"))
  const others = Math.min(NEIGHBOURS, size - 1) - 1
  const { codes, cosines } = yield* Pauses.during(CodeNeighbours.steps(vectors, width, others))
  const rows = Array.from({ length: size }, (_, code) => [code * others, (code + 1) * others] as const)
  const umap = new UMAP({
    nComponents: 2,
    nNeighbors: others + 1,
    minDist: DISTANCE,
    random: KeyedRandom.generator({ seed: 0, purpose: "atlas/map", epoch: 0, index: 0 }).uniform
  })
  // UMAP counts each point as its own nearest neighbour.
  umap.setPrecomputedKNN(
    rows.map(([from, to], code) => [code, ...codes.subarray(from, to)]),
    rows.map(([from, to]) => [0, ...Array.from(cosines.subarray(from, to), (cosine) => Math.max(0, 1 - cosine))])
  )
  const epochs = umap.initializeFit(
    rows.map((_, code) => Array.from(vectors.subarray(code * width, (code + 1) * width)))
  )
  for (let epoch = 0; epoch < epochs; epoch++) {
    umap.step()
    yield* Pauses.pause
  }
  return scaled(umap.getEmbedding())
})
