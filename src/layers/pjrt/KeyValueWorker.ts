/**
 * A thread that serves a plugin with keys and values (`KeyValueStore`). It does nothing else, so that it answers also while the thread of
 * the engine waits in the plugin.
 */
import { parentPort, workerData } from "node:worker_threads"
import type { MpiOrigin } from "../ranks/Collectives.ts"
import * as KeyValues from "../ranks/KeyValues.ts"
import * as MpiRanks from "../ranks/MpiRanks.ts"
import * as KeyValueCallbacks from "./KeyValueCallbacks.ts"

/** Options of the thread: how it reaches the other ranks, the number of the store, and which functions it serves. */
export interface Options {
  readonly ranks: MpiOrigin
  readonly number: number
  readonly serves: "reading" | "writing"
}

const port = parentPort!
const { number, ranks, serves } = workerData as Options
const link = MpiRanks.link(ranks, number)
port.postMessage(
  serves === "reading"
    ? KeyValueCallbacks.reading(KeyValues.reader(link))
    : KeyValueCallbacks.writing(KeyValues.writer(link))
)

// Without it, the thread would end: calls of a plugin do not keep it.
port.ref()
