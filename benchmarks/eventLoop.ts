/**
 * For how long work of this thread keeps its event loop from timers and requests. Time in which the thread is ready and waits for a
 * processor does not count, because other programs cause it.
 */
import { closeSync, openSync, readSync } from "node:fs"
import { type Profiler, Session } from "node:inspector/promises"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"

/** A stretch of work without a turn of the event loop. */
export interface Held {
  /** Milliseconds of work, of the processor in it, and of the clock. */
  readonly own: number
  readonly processor: number
  readonly wall: number
  /** The functions in which most of it passed, the innermost first. */
  readonly within: string
}

/** What the event loop of a part of a program was kept by. */
export interface Lag {
  readonly seconds: number
  /** Milliseconds of work between two turns of the event loop: a share of all turns is at most so long. */
  readonly median: number
  readonly p99: number
  readonly largest: number
  /** The most that a stretch took of the processor. The rest of its work is waiting for other threads, as in garbage collection. */
  readonly processor: number
  /** The largest delay by the clock. */
  readonly wall: number
  /** The longest stretches above the limit, and their number. */
  readonly over: number
  readonly worst: ReadonlyArray<Held>
}

const TICK = 1
const SAMPLING = 500
const SHOWN = 8
const FRAMES = 6
/** A function is named if it has at least this share of the samples of its caller's stretch. */
const SHARE = 0.4

const root = fileURLToPath(new URL("..", import.meta.url))

interface Reading {
  readonly at: number
  readonly active: number
  readonly processor: number
  readonly waited: number
}

/** Reads for how many milliseconds this thread has waited for a processor. Other systems than Linux do not tell. */
const waiting = () => {
  if (process.platform !== "linux") return { read: () => 0, close: () => {} }
  const file = openSync("/proc/thread-self/schedstat", "r")
  const bytes = Buffer.alloc(128)
  return {
    read: () => Number(bytes.toString("latin1", 0, readSync(file, bytes, 0, bytes.length, 0)).split(" ")[1]) / 1e6,
    close: () => closeSync(file)
  }
}

/** Names a function by its file in the project, or by its package. */
const named = ({ functionName, lineNumber, url }: Profiler.ProfileNode["callFrame"]): string => {
  const file = url.startsWith("file:") ? fileURLToPath(url) : url
  const place = file.includes("node_modules/")
    ? file.slice(file.lastIndexOf("node_modules/") + "node_modules/".length)
    : file.startsWith(root)
    ? file.slice(root.length)
    : file
  return `${functionName === "" ? "(anonymous)" : functionName}${place === "" ? "" : ` ${place}:${lineNumber + 1}`}`
}

/** The chain of functions that most samples of a stretch share, the innermost first. */
const chain = (profile: Profiler.Profile, from: number, to: number): string => {
  const parents = new Map(
    profile.nodes.flatMap(({ children = [], id }) => children.map((child) => [child, id] as const))
  )
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const counts = new Map<number, number>()
  let at = profile.startTime
  let samples = 0
  for (const [i, sample] of (profile.samples ?? []).entries()) {
    at += profile.timeDeltas![i]!
    if (at < from || at > to) continue
    samples++
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
  }
  const path: Array<string> = []
  const most = (ids: ReadonlyArray<number>) =>
    ids.toSorted((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0)).find((id) =>
      (counts.get(id) ?? 0) >= Math.max(1, samples * SHARE)
    )
  for (let id = most([profile.nodes[0]!.id]); id !== undefined; id = most(nodes.get(id)!.children ?? [])) {
    path.unshift(named(nodes.get(id)!.callFrame))
  }
  return path.slice(0, FRAMES).join(" < ")
}

const digits = (value: number) => Number(value.toPrecision(3))

/** Runs a part of a program, and watches the event loop meanwhile. `most` is the limit of a stretch of work, in milliseconds. */
export const watched = async <A>(most: number, run: () => Promise<A>): Promise<readonly [Lag, A]> => {
  const session = new Session()
  session.connect()
  await session.post("Profiler.enable")
  await session.post("Profiler.setSamplingInterval", { interval: SAMPLING })
  await session.post("Profiler.start")
  const processors = waiting()
  const reading = (): Reading => {
    const { system, user } = process.threadCpuUsage()
    return {
      at: performance.now(),
      active: performance.eventLoopUtilization().active,
      processor: (user + system) / 1000,
      waited: processors.read()
    }
  }
  const began = performance.now()
  const stretches: Array<Pick<Held, "own" | "processor"> & { readonly from: number; readonly to: number }> = []
  let last = reading()
  let timer: NodeJS.Timeout
  const tick = () => {
    const now = reading()
    const wall = now.at - last.at
    const busy = now.active - last.active - (now.waited - last.waited)
    const processor = Math.min(wall, now.processor - last.processor)
    stretches.push({ from: last.at, to: now.at, own: Math.min(wall, Math.max(busy, processor)), processor })
    last = now
    timer = setTimeout(tick, TICK)
  }
  timer = setTimeout(tick, TICK)
  let value: A
  let seconds: number
  let profile: Profiler.Profile
  try {
    value = await run()
  } finally {
    clearTimeout(timer!)
    tick()
    clearTimeout(timer!)
    seconds = (performance.now() - began) / 1000
    processors.close()
    profile = (await session.post("Profiler.stop")).profile
    session.disconnect()
  }
  // The profile counts the microseconds of the system's steady clock.
  const clock = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000
  const own = stretches.map((one) => one.own).toSorted((a, b) => a - b)
  const share = (part: number) => digits(own[Math.floor(part * (own.length - 1))]!)
  const over = stretches.filter((one) => one.own > most).toSorted((a, b) => b.own - a.own)
  return [{
    seconds: digits(seconds),
    median: share(0.5),
    p99: share(0.99),
    largest: share(1),
    processor: digits(stretches.reduce((most, { processor }) => Math.max(most, processor), 0)),
    wall: digits(stretches.reduce((most, { from, to }) => Math.max(most, to - from), 0)),
    over: over.length,
    worst: over.slice(0, SHOWN).map(({ from, own, processor, to }) => ({
      own: digits(own),
      processor: digits(processor),
      wall: digits(to - from),
      within: chain(profile, clock + from * 1000, clock + to * 1000)
    }))
  }, value]
}
