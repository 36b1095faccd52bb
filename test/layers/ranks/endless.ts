import { workerData } from "node:worker_threads"
import type { CollectivesOrigin } from "../../../src/layers/ranks/Collectives.ts"
import * as Connection from "../../../src/layers/ranks/Connection.ts"

const { sum } = Connection.open(workerData as CollectivesOrigin)
for (;;) {
  sum(new Float32Array(1000))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
}
