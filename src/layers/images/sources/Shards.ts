/** Collections that come in many files. */
import { Effect, type FileSystem } from "effect"
import * as Files from "../../files/Files.ts"
import { Progress } from "../../run/Progress.ts"
import { EXTENSIONS } from "../reading/Decode.ts"
import { FileDamaged, ImagesError, SplitEmpty } from "../reading/ImagesError.ts"
import type { LeftOut } from "../reading/LeftOut.ts"

/** The shards of each split: names of files, or patterns such as `train-{000000..000146}.tar`. */
export type Shards = Readonly<Record<string, string | ReadonlyArray<string>>>

/** The names that a pattern with `{a,b}` and `{000..146}` stands for. */
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

/** What the system says of a shard. What is no file is not opened, since some never begin. */
export const stat = Effect.fnUntraced(function*(fs: FileSystem.FileSystem, shard: string) {
  const info = yield* Files.onFailure(shard)(fs.stat(shard))
  if (info.type === "File") return info
  return yield* new FileDamaged({ problem: `it is no file but a ${info.type}` })
})

/** Why a split without images cannot be had. */
export const empty = (split: string, leftOut: ReadonlyArray<LeftOut> = []): ImagesError =>
  new ImagesError({ source: split, reason: new SplitEmpty({ extensions: EXTENSIONS, leftOut }) })
