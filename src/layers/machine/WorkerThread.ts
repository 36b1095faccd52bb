/** Worker threads, whose programs are files of this library. */
import { Worker } from "node:worker_threads"

/** Returns the file of a program beside the module `from`: TypeScript in the sources, JavaScript in a build. */
export const file = (name: string, from: string): URL =>
  new URL(`./${name}${from.endsWith(".ts") ? ".ts" : ".js"}`, from)

/** Starts a thread. `data` is its `workerData`. */
export const start = (program: URL, data: object): Worker =>
  new Worker(program, { workerData: data, execArgv: ["--disable-warning=ExperimentalWarning"] })
