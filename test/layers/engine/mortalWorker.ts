import { parentPort } from "node:worker_threads"
import "../../../src/layers/engine/OnnxWorker.ts"

parentPort!.on("message", ({ name }: { readonly name: string }) => {
  if (name === "memory") process.exit(3)
})
