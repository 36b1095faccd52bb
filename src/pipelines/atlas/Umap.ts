/** UMAP of vectors by cosine. A worker thread loads it, so it loads no Effect. */
import { UMAP } from "umap-js"
import * as CodeNeighbours from "../../domain/method/CodeNeighbours.ts"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"

/** The options of a map. */
export interface Options {
  /** The number of points of a neighbourhood. A point counts as its own neighbour. */
  readonly neighbours: number
  /** The least distance of points in the plane. */
  readonly distance: number
}

/** Computes the places of vectors `[M, width]`: `[M, 2]`. */
export const of = (vectors: Float32Array, width: number, options: Options): Float64Array => {
  const size = vectors.length / width
  const others = Math.min(options.neighbours, size - 1) - 1
  const { codes, cosines } = CodeNeighbours.of(vectors, width, others)
  const rows = Array.from({ length: size }, (_, row) => [row * others, (row + 1) * others] as const)
  const umap = new UMAP({
    nComponents: 2,
    nNeighbors: others + 1,
    minDist: options.distance,
    random: KeyedRandom.generator({ seed: 0, purpose: "atlas/map", epoch: 0, index: 0 }).uniform
  })
  // UMAP counts each point as its own nearest neighbour.
  umap.setPrecomputedKNN(
    rows.map(([from, to], row) => [row, ...codes.subarray(from, to)]),
    rows.map(([from, to]) => [0, ...Array.from(cosines.subarray(from, to), (cosine) => Math.max(0, 1 - cosine))])
  )
  const places = umap.fit(rows.map((_, row) => Array.from(vectors.subarray(row * width, (row + 1) * width))))
  return Float64Array.from(places.flat())
}
