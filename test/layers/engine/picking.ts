import * as Steps from "../../../src/laws/EngineSteps.ts"
import * as Codes from "../../../src/shapes/Codes.ts"
import * as Collective from "../../../src/shapes/Collective.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Reduction from "../../../src/shapes/Reduction.ts"
import type { HostOf, TrainStep } from "../../../src/shapes/Step.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"

export const NONE = { handles: 0, tensors: 0, bytes: 0 }

interface Picks {
  readonly table: Tensor<[6, 1]>
  readonly rows: Tensor<[4], "int32">
}

export const picking: TrainStep<{ readonly w: Tensor<[]> }, Picks, { readonly sum: Tensor<[]> }> = {
  name: "picking",
  state: { w: { shape: [], dtype: "float32" } },
  batch: {
    table: { shape: [6, 1], dtype: "float32", split: "rows" },
    rows: { shape: [4], dtype: "int32", split: { placesOf: 6 } }
  },
  run: ({ w }, { rows, table }) => ({
    metrics: { sum: Collective.psum(Reduction.sum(Codes.lookup(table, rows))) },
    state: { w }
  })
}

export const picks = (...rows: ReadonlyArray<number>): HostOf<Picks> => ({
  table: Steps.values([6, 1], (i) => 10 ** i),
  rows: HostTensor.make([4], "int32", Int32Array.from(rows))
})
