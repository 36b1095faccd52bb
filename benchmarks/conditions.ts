/** Whether the machine was quiet while a benchmark ran, from the counters of Linux. Elsewhere, only the spread of rounds tells. */
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"

/** Counters of the machine and of this process with its ended children: seconds of processors, and pages. */
export interface Counters {
  readonly at: number
  /** All work of the machine's processors, and what their host gave to others. */
  readonly busy: number
  readonly stolen: number
  readonly own: number
  /** Reads from the disk that a program had to wait for, because a page was not in memory. */
  readonly majorFaults: number
  readonly swapped: number
}

const TICKS = 100
const ticks = (words: ReadonlyArray<string | undefined>): number =>
  words.reduce((sum, word) => sum + Number(word ?? 0), 0) / TICKS

/** Reads the counters from the texts of `/proc/stat`, `/proc/self/stat` and `/proc/vmstat`. */
export const parse = (at: number, stat: string, self: string, vmstat: string): Counters => {
  const [, user, nice, system, , , irq, softirq, stolen] = stat.split("\n", 1)[0]!.split(/\s+/)
  // The name of the process can have spaces. The third field follows it.
  const fields = self.slice(self.lastIndexOf(")") + 2).split(" ")
  const pages = (name: string): number => Number(new RegExp(`^${name} (\\d+)`, "m").exec(vmstat)?.[1] ?? 0)
  return {
    at,
    busy: ticks([user, nice, system, irq, softirq]),
    stolen: ticks([stolen]),
    own: ticks(fields.slice(11, 15)),
    majorFaults: Number(fields[9]) + Number(fields[10]),
    swapped: pages("pswpin") + pages("pswpout")
  }
}

/** Reads the counters now. Undefined if the system has none. */
export const counters = (): Counters | undefined =>
  process.platform === "linux"
    ? parse(
      performance.now() / 1000,
      readFileSync("/proc/stat", "utf8"),
      readFileSync("/proc/self/stat", "utf8"),
      readFileSync("/proc/vmstat", "utf8")
    )
    : undefined

/** The conditions of a measurement. */
export interface Conditions {
  /** Shares of all processors' time: the work of other programs, and what the host gave to others. */
  readonly others?: number
  readonly stolen?: number
  readonly majorFaults?: number
  readonly swappedPages?: number
  /** The difference of the slowest and the fastest round, as a share of the middle one. */
  readonly spread?: number
  /** Why the figures are not to be trusted. They are, if there is no reason. */
  readonly doubts: ReadonlyArray<string>
}

const MOST = { others: 0.05, stolen: 0.02, faultsPerSecond: 10, spread: 0.1 } as const
const digits = (value: number) => Number(value.toPrecision(2))
const percent = (share: number) => `${digits(100 * share)} %`

/** Judges a measurement between two readings of counters, with the times of its rounds in their order. */
export const judge = (
  before: Counters | undefined,
  after: Counters | undefined,
  rounds: ReadonlyArray<number>,
  cores: number
): Conditions => {
  const sorted = rounds.toSorted((a, b) => a - b)
  const spread = sorted.length < 2 ? undefined : (sorted.at(-1)! - sorted[0]!) / sorted[Math.floor(sorted.length / 2)]!
  const uneven = spread !== undefined && spread > MOST.spread
    ? [`the rounds differ by ${percent(spread)}, more than ${percent(MOST.spread)}`]
    : []
  const measured = spread === undefined ? {} : { spread: digits(spread) }
  if (before === undefined || after === undefined) return { ...measured, doubts: uneven }
  const seconds = after.at - before.at
  const time = seconds * cores
  const difference = (key: keyof Counters) => after[key] - before[key]
  const others = Math.max(0, difference("busy") - difference("own")) / time
  const stolen = difference("stolen") / time
  const [majorFaults, swappedPages] = [difference("majorFaults"), difference("swapped")]
  return {
    others: digits(others),
    stolen: digits(stolen),
    majorFaults,
    swappedPages,
    ...measured,
    doubts: [
      ...(others > MOST.others
        ? [`other programs took ${percent(others)} of the processors, more than ${percent(MOST.others)}`]
        : []),
      ...(stolen > MOST.stolen
        ? [`the host gave ${percent(stolen)} of the processors to other machines, more than ${percent(MOST.stolen)}`]
        : []),
      ...(majorFaults > MOST.faultsPerSecond * seconds
        ? [
          `the program waited ${majorFaults} times for pages from the disk: memory is short, or its files are read for the first time`
        ]
        : []),
      ...(swappedPages > 0 ? [`the machine moved ${swappedPages} pages to the disk and back`] : []),
      ...uneven
    ]
  }
}

/** Begins a measurement. The function that it returns ends it. */
export const begin = () => {
  const before = counters()
  return (rounds: ReadonlyArray<number> = []): Conditions => judge(before, counters(), rounds, availableParallelism())
}

/** Tells of doubts in words. Empty if there are none. */
export const told = ({ doubts }: Conditions): string =>
  doubts.map((doubt) => `These figures are not to be trusted: ${doubt}.\n`).join("")
