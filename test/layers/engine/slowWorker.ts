import { workerData } from "node:worker_threads"
import { serve } from "../../../src/layers/engine/Serve.ts"

const seen = new Int32Array(workerData.memory as SharedArrayBuffer)

serve({
  start: async () => {
    Atomics.store(seen, 1, 1)
    await new Promise((done) => setTimeout(done, 50))
    Atomics.store(seen, 2, 1)
    return [undefined]
  }
} as never)

Atomics.store(seen, 0, 1)
