/** Features of a set of images with their labels: what the evaluations compare. */
import type { Labelled } from "../domain/Classes.ts"
import type { HostTensor } from "../shapes/HostTensor.ts"

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
