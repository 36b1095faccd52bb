/** The features of a set of images, with their labels. The evaluations compare such sets. */
import { Effect } from "effect"
import type { Labelled } from "../../domain/evaluation/Classes.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"

/** One row of features per image, `[N, C]`, and the labels of the images. */
export interface FeatureSet extends Labelled {
  readonly features: HostTensor<[number, number], "float32">
  /** The digest of the images. */
  readonly digest: string
}

/** Names the sets of an evaluation in its span. */
export const annotateSpan = (train: FeatureSet, tests: ReadonlyArray<FeatureSet>): Effect.Effect<void> =>
  Effect.annotateCurrentSpan({
    "patchword.split": train.name,
    "patchword.splits": tests.map(({ name }) => name),
    "patchword.images": tests.reduce((sum, { labels }) => sum + labels.length, 0)
  })

/** Selects the rows at `places`, in that order. */
export const rows = <S extends FeatureSet>(set: S, places: Int32Array): S => {
  const [, width] = set.features.shape
  const data = new Float32Array(places.length * width)
  places.forEach((place, row) => data.set(set.features.data.subarray(place * width, (place + 1) * width), row * width))
  return {
    ...set,
    labels: places.map((place) => set.labels[place]!),
    features: { ...set.features, shape: [places.length, width], data }
  }
}

/** Joins sets with the same classes into one. The first one names it. */
export const join = (first: FeatureSet, second: Pick<FeatureSet, "features" | "labels">): FeatureSet => {
  const [count, width] = first.features.shape
  const [more] = second.features.shape
  const data = new Float32Array((count + more) * width)
  data.set(first.features.data)
  data.set(second.features.data, count * width)
  return {
    ...first,
    labels: Int32Array.from([first.labels, second.labels].flatMap((labels) => Array.from(labels))),
    features: { ...first.features, shape: [count + more, width], data }
  }
}

const identityOf = ({ features: { data, shape: [, width] } }: FeatureSet, row: number): string => {
  const { buffer, byteLength, byteOffset } = data.subarray(row * width, (row + 1) * width)
  return Files.sha256(new Uint8Array(buffer, byteOffset, byteLength))
}

/** Tests whether an image of a set is also in one of the others, under any name. Equal pixels have equal features. */
export const overlaps = Effect.fnUntraced(function*(set: FeatureSet, others: ReadonlyArray<FeatureSet>) {
  const own = new Set<string>()
  for (const row of set.labels.keys()) {
    own.add(identityOf(set, row))
    yield* Pauses.pause
  }
  for (const other of others) {
    for (const row of other.labels.keys()) {
      if (own.has(identityOf(other, row))) return true
      yield* Pauses.pause
    }
  }
  return false
})
