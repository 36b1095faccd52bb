/** The engines of a machine as a table of 100 columns. */
import type * as EngineError from "../../layers/engine/EngineError.ts"
import type * as EngineSurvey from "../../layers/engine/EngineSurvey.ts"

const WIDTH = 100
const NAMES = 16

const row = (cells: ReadonlyArray<string>): string =>
  cells.map((cell, column) => cell.padEnd([NAMES, 12, 8, 12, 9][column] ?? 0)).join(" ").trimEnd()

// The first thing to do, or what stands in the way; both go on at length.
const brief = (reason: EngineError.Reason): string => {
  const all = reason._tag === "ProviderUnavailable"
    ? reason.remedy
    : reason._tag === "PrecisionUnavailable"
    ? reason.detail
    : reason.finding
  const [first = all] = all.split(/, or |, and | and name |; /)
  const room = WIDTH - NAMES - 1
  return first.length <= room ? first : `${first.slice(0, room - 1)}…`
}

const line = (entry: EngineSurvey.Entry): string => {
  if (entry._tag === "Unavailable") return `${entry.name.padEnd(NAMES)} ${brief(entry.error.reason)}`
  const { deviation, gigaflops, name, precisions, threads, version } = entry
  return row([
    name,
    version,
    String(threads),
    precisions.join(", "),
    gigaflops.toPrecision(3),
    deviation === 0 ? "0" : deviation.toExponential(0)
  ])
}

/** A line for each engine: those that run here with their figures, then the others with a few words why not. */
export const lines = (entries: ReadonlyArray<EngineSurvey.Entry>): ReadonlyArray<string> => {
  const missing = entries.filter(({ _tag }) => _tag === "Unavailable")
  return [
    row(["engine", "version", "threads", "precisions", "Gflop/s", "deviation"]),
    ...entries.filter(({ _tag }) => _tag === "Available").map(line),
    ...(missing.length === 0 ? [] : ["", "Not on this machine:", ...missing.map(line)])
  ]
}

/** The whole message of each engine that does not run here. */
export const reasons = (entries: ReadonlyArray<EngineSurvey.Entry>): ReadonlyArray<string> =>
  entries.flatMap((entry) => entry._tag === "Unavailable" ? [`${entry.name}: ${entry.error.reason.message}`] : [])
