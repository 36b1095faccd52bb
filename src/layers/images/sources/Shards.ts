/** Collections that consist of several files. */
import { Effect, type FileSystem } from "effect"
import * as Files from "../../files/Files.ts"
import { Progress } from "../../run/Progress.ts"
import { EXTENSIONS } from "../reading/Decode.ts"
import { FileDamaged, ImagesError, SplitEmpty } from "../reading/ImagesError.ts"
import type { LeftOut } from "../reading/LeftOut.ts"

/** The shards of each split: names of files, or patterns such as `train-{000000..000146}.tar`. */
export type Shards = Readonly<Record<string, string | ReadonlyArray<string>>>

/** Expands a pattern with `{a,b}` or `{000..146}` to names. */
export const expand = (pattern: string): ReadonlyArray<string> => {
  const found = /^(.*?)\{([^{}]*)\}(.*)$/s.exec(pattern)
  if (found === null) return [pattern]
  const [, before = "", inside = "", after = ""] = found
  const range = /^(\d+)\.\.(\d+)$/.exec(inside)
  const first = Number(range?.[1])
  const parts = range === null
    ? inside.split(",")
    : Array.from(
      { length: Math.max(0, Number(range[2]) - first + 1) },
      (_, i) => String(first + i).padStart(range[1]!.length, "0")
    )
  const rest = expand(after)
  return parts.flatMap((part) => rest.map((end) => `${before}${part}${end}`))
}

/** Opens the shards of a split, one after another. */
export const forEach = Effect.fnUntraced(function*<A>(
  stage: string,
  patterns: string | ReadonlyArray<string>,
  open: (shard: string) => Effect.Effect<A, ImagesError>
) {
  const progress = yield* Progress
  const shards = (typeof patterns === "string" ? [patterns] : patterns).flatMap(expand)
  const opened: Array<A> = []
  for (const shard of shards) {
    opened.push(yield* open(shard))
    if (shards.length > 1) {
      yield* progress.report({ stage, step: opened.length, total: shards.length, metrics: {} })
    }
  }
  return opened
})

/**
 * Returns the file information of a shard. Fails with `FileDamaged` for anything but a regular file, without opening it,
 * because reading it could wait for ever.
 */
export const stat = Effect.fnUntraced(function*(fs: FileSystem.FileSystem, shard: string) {
  const info = yield* Files.onFailure(shard)(fs.stat(shard))
  if (info.type === "File") return info
  return yield* new FileDamaged({ problem: `it is a ${info.type}, not a regular file` })
})

/** Makes the error of a split without images. */
export const empty = (split: string, leftOut: ReadonlyArray<LeftOut> = []): ImagesError =>
  new ImagesError({ source: split, reason: new SplitEmpty({ extensions: EXTENSIONS, leftOut }) })
