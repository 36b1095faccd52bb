import { Cause, Effect, Exit, Runtime } from "effect"
import { rmSync } from "node:fs"
import { watched } from "./crashes.ts"
import { failure, type Operation } from "./watchedDisk.ts"
import type { Work } from "./works.ts"

export interface Failure {
  readonly name: string
  readonly lasts: boolean
  readonly code?: string
  readonly spares: (operation: Operation) => boolean
}

const needsRoom = ({ kind }: Operation) => kind === "write" || kind === "folder" || kind === "open"

const changesNames = ({ kind }: Operation) => kind !== "write" && kind !== "sync" && kind !== "truncate"

export const failures: ReadonlyArray<Failure> = [
  { name: "a full disk", code: "ENOSPC", lasts: true, spares: (one) => !needsRoom(one) },
  { name: "a moment of a full disk", code: "ENOSPC", lasts: false, spares: (one) => !needsRoom(one) },
  { name: "a quota", code: "EDQUOT", lasts: true, spares: (one) => !needsRoom(one) },
  { name: "a disk for reading only", code: "EROFS", lasts: true, spares: () => false },
  { name: "other permissions", code: "EACCES", lasts: true, spares: (one) => !changesNames(one) },
  { name: "a broken disk", code: "EIO", lasts: true, spares: () => false },
  { name: "a moment of a broken disk", code: "EIO", lasts: false, spares: () => false },
  { name: "a vanished folder", lasts: false, spares: () => false }
]

export const withFailure = (work: Work, folder: string, { code, lasts, spares }: Failure, first: number) =>
  Effect.suspend(() => {
    let count = 0
    let failed = false
    const fails = (operation: Operation): boolean => {
      if (count++ < first || spares(operation) || (failed && !lasts)) return false
      failed = true
      return true
    }
    const before = (operation: Operation) =>
      Effect.suspend(() => {
        if (!fails(operation)) return Effect.void
        if (code !== undefined) return Effect.fail(failure(code, code === "EACCES" ? "PermissionDenied" : "Unknown"))
        rmSync(`${folder}/run`, { recursive: true, force: true })
        return Effect.void
      })
    return Effect.exit(watched({ before }, work.run(`${folder}/run`)))
  })

export interface Outcome {
  readonly kind: "succeeded" | "typed" | "other"
  readonly said: string
}

export const outcomeOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): Outcome => {
  if (Exit.isSuccess(exit)) return { kind: "succeeded", said: "" }
  const error = Cause.squash(exit.cause)
  const code = (error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode]
  const typed = exit.cause.reasons.every(({ _tag }) => _tag === "Fail") && (code === 74 || code === 66 || code === 73)
  return { kind: typed ? "typed" : "other", said: `${Cause.pretty(exit.cause)} (exit code ${code})` }
}
