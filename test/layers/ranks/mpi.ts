import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import * as MpiLibrary from "../../../src/layers/ranks/MpiLibrary.ts"

export const library = Effect.runSync(MpiLibrary.cached)
const launcher = Effect.runSync(MpiLibrary.launcher)

export const isThere = existsSync(library)
if (!isThere) console.warn("several ranks are skipped: there is no MPI; run \"npm run setup:mpi\"")

export const ofMpich = join(dirname(library), "libmpi.so.12")

export interface Job {
  readonly launcher: ChildProcess
  readonly lines: ReadonlyArray<string>
  readonly errors: () => string
  readonly line: (matches: (line: string) => boolean) => Effect.Effect<string>
  readonly end: Effect.Effect<number | string>
}

const children = new Set<ChildProcess>()

export const killAll = () => {
  for (const child of children) child.kill("SIGKILL")
  children.clear()
}

export const node = [process.execPath, "--disable-warning=ExperimentalWarning"]

export const start = (ranks: number, words: ReadonlyArray<string>, program: ReadonlyArray<string> = node): Job => {
  const child = spawn(launcher, ["-n", String(ranks), ...program, ...words])
  children.add(child)
  const lines: Array<string> = []
  const waiting = new Set<() => void>()
  let rest = ""
  let errors = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n")
    rest = parts.pop()!
    lines.push(...parts)
    for (const wake of waiting) wake()
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text
  })
  const ended = new Promise<number | string>((resolve) => {
    child.on("close", (code, signal) => {
      children.delete(child)
      resolve(code ?? signal ?? "")
    })
  })
  return {
    launcher: child,
    lines,
    errors: () => errors,
    line: (matches) =>
      Effect.callback((resume) => {
        const look = () => {
          const found = lines.find(matches)
          if (found === undefined) return
          waiting.delete(look)
          resume(Effect.succeed(found))
        }
        waiting.add(look)
        void ended.then(() => resume(Effect.die(new Error(`ended before: ${errors}`))))
        look()
      }),
    end: Effect.promise(() => ended)
  }
}
