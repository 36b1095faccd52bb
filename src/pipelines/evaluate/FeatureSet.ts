/** Features of a set of images with their labels: what the evaluations compare. */
import type { Labelled } from "../../domain/evaluation/Classes.ts"
import * as Files from "../../layers/files/Files.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"

/** One row of features per image, `[N, C]`, and what is known of the images. */
export interface FeatureSet extends Labelled {
  readonly features: HostTensor<[number, number], "float32">
  /** That of the images. */
  readonly digest: string
}

/** The rows at `places`, in that order. */
export const rows = (set: FeatureSet, places: Int32Array): FeatureSet => {
  const [, width] = set.features.shape
  const data = new Float32Array(places.length * width)
  places.forEach((place, row) => data.set(set.features.data.subarray(place * width, (place + 1) * width), row * width))
  return {
    ...set,
    labels: places.map((place) => set.labels[place]!),
    features: { ...set.features, shape: [places.length, width], data }
  }
}

const identities = ({ features: { data, shape: [count, width] } }: FeatureSet): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, row) => {
    const { buffer, byteLength, byteOffset } = data.subarray(row * width, (row + 1) * width)
    return Files.sha256(new Uint8Array(buffer, byteOffset, byteLength))
  })

/** Whether some image of a set is in one of the others, whatever it is called there: equal pixels have equal features. */
export const overlaps = (set: FeatureSet, others: ReadonlyArray<FeatureSet>): boolean => {
  const own = new Set(identities(set))
  return others.some((other) => identities(other).some((identity) => own.has(identity)))
}
