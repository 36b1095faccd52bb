/** Takes the parts one after the other until the time is over. */
import type { Watched } from "./card.ts"
import { keyOf, type Part } from "./parts.ts"
import type { Ended } from "./process.ts"
import type { Entry, Figures } from "./results.ts"

/** The surroundings of a measurement. Times are in milliseconds. */
export interface Options {
  /** The results of earlier runs. Their parts are not repeated. */
  readonly known: Readonly<Record<string, Entry>>
  /** Ways that this machine lacks. Their parts do not run. */
  readonly lacks: Readonly<Record<string, string>>
  /** The limit of one part. */
  readonly limit: number
  /** The time that is left. */
  readonly left: () => number
  readonly watch: () => () => Watched | undefined
  readonly run: (part: Part, limit: number) => Promise<Ended<Figures>>
  /** Is called after each part with all results. */
  readonly keep: (parts: Readonly<Record<string, Entry>>, latest: Entry, log: string) => void
}

/** No part is begun if less time is left. */
export const LEAST = 10_000

/**
 * Measures the parts in their order, and returns all results. A part that fails has its reason as result, and the others go on. A part
 * that the end of the time cuts off has no result.
 */
export const measure = async (
  plan: ReadonlyArray<Part>,
  options: Options
): Promise<Readonly<Record<string, Entry>>> => {
  const { keep, known, lacks, left, limit, run, watch } = options
  const parts: Record<string, Entry> = { ...known }
  for (const part of plan) {
    const key = keyOf(part)
    if (parts[key] !== undefined || lacks[part.way] !== undefined) continue
    const rest = left()
    if (rest < LEAST) break
    const watched = watch()
    const { log, ...ended } = await run(part, Math.min(limit, rest))
    const card = watched()
    if ("reason" in ended && ended.late && rest < limit) break
    const seconds = Math.round((rest - left()) / 100) / 10
    const entry: Entry = {
      ...part,
      ...("figures" in ended ? { figures: ended.figures } : { reason: ended.reason }),
      seconds,
      ...(card === undefined ? {} : { card })
    }
    parts[key] = entry
    keep(parts, entry, log)
  }
  return parts
}
