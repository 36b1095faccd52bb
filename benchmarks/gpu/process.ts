/** Runs one part in a process of its own, with a limit of time. Whatever the process does, the run ends with figures or a reason. */
import { spawn } from "node:child_process"

/** A process that prints one JSON object of figures as its last line. */
export interface Command {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
}

/** How a process ended. `log` is the end of what it printed. */
export type Ended<A> =
  & { readonly log: string }
  & ({ readonly figures: A } | {
    readonly reason: string
    /** True if the limit of time ended it. */
    readonly late: boolean
  })

const TAIL = 65_536
const REASON = 600
// What a process leaves open may not hold up the others.
const GRACE = 2000

const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line.trim() !== "")

const figures = <A>(out: string): A | undefined => {
  for (const line of lines(out).toReversed()) {
    if (!line.startsWith("{")) continue
    try {
      return JSON.parse(line) as A
    } catch {
      continue
    }
  }
  return undefined
}

const why = (code: number | null, signal: NodeJS.Signals | null, out: string, err: string): string => {
  const said = (lines(err).at(-1) ?? "").slice(0, REASON)
  if (signal === "SIGKILL") return `SIGKILL ended it, perhaps because the machine had no memory left. ${said}`.trim()
  if (signal !== null) return `${signal} ended it. ${said}`.trim()
  if (code !== 0) return said === "" ? `it ended with code ${code}, and no message` : said
  return `it printed no figures, but: ${JSON.stringify(out.slice(-200))}`
}

const killGroup = (pid: number | undefined): void => {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  } catch {
    // The group has ended.
  }
}

const running = new Set<number>()

/** Ends all processes that still run, with those that they started. */
export const endAll = (): void => running.forEach(killGroup)

/**
 * Runs a process for at most `limit` milliseconds. It is the head of a group, and the whole group ends with it. Its standard input
 * stays open as long as this process lives.
 */
export const run = <A>({ args, command, environment }: Command, limit: number): Promise<Ended<A>> =>
  new Promise((resolve) => {
    const child = spawn(command, args, { detached: true, env: { ...process.env, ...environment } })
    if (child.pid !== undefined) running.add(child.pid)
    let [out, err, late] = ["", "", false]
    let [code, signal]: [number | null, NodeJS.Signals | null] = [null, null]
    child.stdout.on("data", (chunk: Buffer) => (out = (out + chunk.toString()).slice(-TAIL)))
    child.stderr.on("data", (chunk: Buffer) => (err = (err + chunk.toString()).slice(-TAIL)))
    child.stdin.on("error", () => undefined)
    const end = (reason?: string) => {
      clearTimeout(timer)
      if (child.pid !== undefined) running.delete(child.pid)
      child.stdout.destroy()
      child.stderr.destroy()
      const log = `${err}${out}`.trimEnd()
      if (late) return resolve({ log, late, reason: `it took longer than ${Math.round(limit / 1000)} s` })
      const found = reason === undefined && code === 0 ? figures<A>(out) : undefined
      resolve(
        found === undefined ? { log, late, reason: reason ?? why(code, signal, out, err) } : { log, figures: found }
      )
    }
    const timer = setTimeout(() => {
      late = true
      killGroup(child.pid)
    }, limit)
    child.on("error", ({ message }) => end(message))
    child.on("exit", (...ended) => {
      ;[code, signal] = ended
      killGroup(child.pid)
      const waiting = setTimeout(() => child.removeAllListeners("close") && end(), GRACE)
      child.on("close", () => {
        clearTimeout(waiting)
        end()
      })
    })
  })
