import * as Kmeans from "../../src/nn/tokenizer/Kmeans.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { l2Normalize } from "../../src/shapes/Normalization.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import type { Case } from "./compared.ts"

interface Vectors {
  readonly vectors: Tensor<[8, 2]>
  readonly start: Tensor<[3], "int32">
}

export const clusters: Case<{ readonly means: Tensor<[3, 2]> }, Vectors, { readonly counts: Tensor<[3]> }> = {
  step: {
    name: "clusters",
    state: { means: { shape: [3, 2], dtype: "float32" } },
    batch: {
      vectors: { shape: [8, 2], dtype: "float32", split: "rows" },
      start: { shape: [3], dtype: "int32" }
    },
    run: (_, { start, vectors }) => {
      const { counts, means } = Kmeans.kmeans(l2Normalize(vectors), start, 3)
      return { metrics: { counts }, state: { means } }
    }
  },
  state: () => ({ means: HostTensor.zeros([3, 2], "float32") }),
  batch: (seed) => ({
    vectors: HostTensor.make([8, 2], "float32", Float32Array.from({ length: 16 }, (_, i) => Math.sin(seed + 7 * i))),
    start: HostTensor.make([3], "int32", Int32Array.of(7, 0, 1 + seed % 6))
  })
}
