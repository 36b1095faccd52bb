import { existsSync, readFileSync } from "node:fs"

/** The most that a process may use: bytes of memory, and seconds of processor time and on the clock without progress. */
export interface Limit {
  readonly processor: number
  readonly memory: number
  readonly clock: number
}

/** Why a process was ended: it took too long, or too much memory, or it was gone and nobody noticed. */
export type End = "timeout" | "memory" | "crash"

const PAGE = 4096

/** The number of looks after which nobody notices any more that a process is gone. */
const UNNOTICED = 30

/** Returns what the process that a file names has used, if it is there. Threads count, child processes do not. */
const used = (file: string) => {
  try {
    const pid = Number(readFileSync(file, "utf8"))
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ")
    const [user, system, pages] = [11, 12, 21].map((place) => Number(fields[place])) as [number, number, number]
    return { pid, isGone: fields[0] === "Z", processor: (user + system) / 100, memory: pages * PAGE }
  } catch {
    return
  }
}

/**
 * Watches the process whose number is in a file, or comes there. It ends the process when that exceeds a limit. Where the system does not
 * tell what a process uses, only the clock counts.
 */
export const watch = (file: string, limit: Limit, milliseconds = 1000) => {
  const { promise, resolve } = Promise.withResolvers<End>()
  // A machine that sleeps takes nobody's time.
  let [waited, gone, spent, before] = [0, 0, 0, 0]
  const timer = setInterval(() => {
    const now = used(file)
    waited += milliseconds / 1000
    if (existsSync(file) && existsSync("/proc/self/stat") && (now === undefined || now.isGone)) gone += 1
    spent = now?.processor ?? 0
    const isLate = spent - before > limit.processor || waited > limit.clock
    const end = isLate
      ? "timeout"
      : (now?.memory ?? 0) > limit.memory
      ? "memory"
      : gone > UNNOTICED
      ? "crash"
      : undefined
    if (end === undefined) return
    clearInterval(timer)
    if (now?.isGone === false) process.kill(now.pid, "SIGKILL")
    resolve(end)
  }, milliseconds)
  return {
    end: promise,
    progress: () => {
      before = spent
      waited = 0
    },
    stop: () => clearInterval(timer)
  }
}
