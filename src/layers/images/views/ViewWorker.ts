/** A worker thread that makes views. */
import { parentPort, workerData } from "node:worker_threads"
import * as Augment from "./Augment.ts"
import type { Task } from "./ViewWorkers.ts"

const recipe = workerData as Augment.Recipe
const port = parentPort!

port.on("message", ({ batch, id, key, picture, place }: Task) => {
  Augment.put(batch, place, Augment.make(picture, recipe, key), recipe.augment)
  port.postMessage(id)
})
