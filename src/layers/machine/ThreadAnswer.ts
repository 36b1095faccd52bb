/** The answer of a worker thread (`WorkerThread.answer`). Threads load this file, so it loads no Effect. */
import { parentPort, type TransferListItem, workerData } from "node:worker_threads"

/** Answers with what `compute` makes of the data of this thread. `moved` names the buffers that are not copied. */
export const give = <D, A>(
  compute: (data: D) => A,
  moved: (answer: A) => ReadonlyArray<TransferListItem> = () => []
): void => {
  const answer = compute(workerData as D)
  parentPort!.postMessage(answer, moved(answer))
}
