import type * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

export type Signal = "SIGKILL" | "SIGINT" | "SIGTERM" | "SIGHUP"

export interface Trap {
  readonly place: string
  readonly nth: number
  readonly signal: Signal
}

const files = ["write", "sync", "rename", "open", "remove", "folder"]
const services = [
  "latest",
  "rewind",
  "run",
  "log",
  "report",
  "snapshot",
  "save",
  "saveWeights",
  "done",
  "infer",
  "runInference"
]

export const places: ReadonlyArray<string> = [
  ...files.flatMap((kind) => [`before ${kind}`, `in ${kind}`, `after ${kind}`]),
  ...services.flatMap((point) => [`before ${point}`, `in ${point}`])
]

const MOST: Readonly<Record<string, number>> = { write: 40, sync: 12, rename: 6, open: 12, run: 5, log: 5, report: 5 }

export const trapOf = (random: KeyedRandom.Generator, signal: Signal): Trap => {
  const place = places[random.integer(0, places.length - 1)]!
  return { place, nth: random.integer(1, MOST[place.split(" ")[1]!] ?? 2), signal }
}
