/** A worker thread that draws initial values. */
import { parentPort, workerData } from "node:worker_threads"
import * as Parameter from "../../nn/blocks/Parameter.ts"
import type { Share } from "./InitialValues.ts"

const { seed, spec } = workerData as Share
const values = Parameter.initialise(spec, seed)
const buffers = Object.values(values).flatMap(({ data: { buffer } }) => (buffer instanceof ArrayBuffer ? buffer : []))
parentPort!.postMessage(values, buffers)
