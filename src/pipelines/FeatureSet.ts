/** Features of a set of images with their labels: what the evaluations compare. */
import type { HostTensor } from "../shapes/HostTensor.ts"

/** One row of features per image, `[N, C]`, and its class. */
export interface FeatureSet {
  readonly features: HostTensor<[number, number], "float32">
  readonly labels: Int32Array
}
