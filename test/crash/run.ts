/**
 * The campaign of crashes: `npm run crash -- --count 500`. Real processes of every stage are ended by SIGKILL, and as many by other signals, at
 * random times and at chosen places: around each operation on files, and around each call of a service. After each end the same run
 * starts again, and at last its files are compared with those of a run that never ended.
 *
 * `--power 100` loses power instead: after as many operations on files of each work (all with `--power all`), with what is synced and with
 * parts of the rest. `--failures 100` lets as many operations of each work fail: a full disk, a quota, a disk for reading only, other
 * permissions, a broken disk, a vanished folder. `--work NAME` selects one work, `--seed` other draws, `--json FILE` keeps the table.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Exit, Layer, ManagedRuntime } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { isDeepStrictEqual, parseArgs } from "node:util"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import { contentsOf, emptied, recorded, remains, resumed } from "./crashes.ts"
import { failures, outcomeOf, withFailure } from "./failures.ts"
import { type Signal, type Trap, trapOf } from "./traps.ts"
import { machine, type Work, works } from "./works.ts"

const { values } = parseArgs({
  options: {
    count: { type: "string" },
    power: { type: "string" },
    failures: { type: "string" },
    work: { type: "string" },
    seed: { type: "string", default: "0" },
    json: { type: "string" }
  }
})

const seed = Number(values.seed)
const root = mkdtempSync(join(tmpdir(), "patchword-crash-"))
const chosen = works.filter(({ name }) => values.work === undefined || values.work === name)
const runtime = ManagedRuntime.make(Layer.merge(machine, NodeServices.layer))
const say = (line: string) => void process.stdout.write(`${line}\n`)

type Row = Readonly<Record<string, string | number>>
const table: Array<Row> = []
const faults: Array<string> = []

const differs = (work: Work, found: ReturnType<typeof contentsOf>, whole: ReturnType<typeof contentsOf>) =>
  !isDeepStrictEqual(found.files, whole.files) || (work.locks && found.left.length > 0)

const fault = (said: string) => {
  faults.push(said)
  say(`FAULT ${said}`)
}

const quietly = <A, E>(self: Effect.Effect<A, E, ManagedRuntime.ManagedRuntime.Services<typeof runtime>>) =>
  runtime.runPromise(self)

const evenly = <A>(all: ReadonlyArray<A>, most: string): ReadonlyArray<A> => {
  const count = most === "all" ? all.length : Math.min(all.length, Number(most))
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + 0.5) * all.length / count)]!)
}

const unbroken = async (work: Work, at: string) => {
  emptied(at)
  const { exit, operations } = await quietly(recorded(work, at))
  if (!Exit.isSuccess(exit)) throw new Error(`${work.name}: ${String(exit)}`)
  return { whole: contentsOf(at), operations }
}

const power = async (work: Work, most: string) => {
  const at = join(root, "power")
  const { operations, whole } = await unbroken(work, at)
  const wanted = new Set(evenly(Array.from(operations.keys(), (i) => i + 1), most))
  let states = 0
  for (const one of remains(at, operations, { at: (count) => wanted.has(count), seeds: [seed, seed + 1] })) {
    states++
    const exit = await quietly(Effect.exit(resumed(work, at, one)))
    const said = `power, ${work.name}, ${JSON.stringify(one.loss)}`
    if (!Exit.isSuccess(exit)) fault(`${said}: ${outcomeOf(exit).said}`)
    else if (differs(work, exit.value, whole)) fault(`${said}: other files`)
  }
  table.push({ campaign: "power", work: work.name, operations: operations.length, after: wanted.size, states })
}

const failing = async (work: Work, most: string) => {
  const at = join(root, "failing")
  const { operations, whole } = await unbroken(work, at)
  const counts = { succeeded: 0, typed: 0, other: 0 }
  for (const first of evenly(Array.from(operations.keys()), most)) {
    for (const failure of failures) {
      emptied(at)
      const outcome = outcomeOf(await quietly(withFailure(work, at, failure, first)))
      counts[outcome.kind]++
      const said = `failure, ${work.name}, ${failure.name} from operation ${first}`
      if (outcome.kind === "other") fault(`${said}: ${outcome.said}`)
      const again = await quietly(Effect.exit(work.run(join(at, "run"))))
      if (!Exit.isSuccess(again)) fault(`${said}, then: ${outcomeOf(again).said}`)
      else if (differs(work, contentsOf(at), whole)) fault(`${said}: other files`)
    }
  }
  table.push({ campaign: "failures", work: work.name, operations: operations.length, ...counts })
}

const SIGNALS: ReadonlyArray<Signal> = ["SIGINT", "SIGTERM", "SIGHUP"]
const CODES: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }
const IN_CHAIN = 4

const child = async (
  work: Work,
  folder: string,
  trap: Trap | null,
  wait?: readonly [millis: number, signal: Signal]
) => {
  const script = fileURLToPath(new URL("child.ts", import.meta.url))
  const started = spawn(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    script,
    work.name,
    folder,
    JSON.stringify(trap)
  ], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, NODE_COMPILE_CACHE: join(root, "compiled") } })
  let stderr = ""
  started.stderr.on("data", (part: Buffer) => (stderr += part.toString()))
  const closed = once(started, "close") as Promise<[number | null, NodeJS.Signals | null]>
  const over = new AbortController()
  if (wait !== undefined) {
    void setTimeout(wait[0], undefined, { signal: over.signal }).then(() => started.kill(wait[1]), () => {})
  }
  const [code, signal] = await closed
  over.abort()
  return { code, signal, stderr }
}

const kills = async (most: number) => {
  const wholes = new Map<string, { readonly whole: ReturnType<typeof contentsOf>; readonly millis: number }>()
  for (const work of chosen) {
    const at = join(root, "whole")
    emptied(at)
    await child(work, join(at, "run"), null)
    emptied(at)
    const begun = performance.now()
    const { code, stderr } = await child(work, join(at, "run"), null)
    if (code !== 0) throw new Error(`${work.name}: ${stderr}`)
    wholes.set(work.name, { whole: contentsOf(at), millis: performance.now() - begun })
  }
  const ended = new Map<string, number>()
  const left = { SIGKILL: most, others: most }
  for (let chain = 0; left.SIGKILL > 0 || left.others > 0; chain++) {
    const work = chosen[chain % chosen.length]!
    const { millis, whole } = wholes.get(work.name)!
    const at = join(root, "killed")
    emptied(at)
    const random = KeyedRandom.generator({ seed, purpose: "crash", epoch: 0, index: chain })
    const told: Array<string> = []
    for (let i = 0; i < IN_CHAIN; i++) {
      const kind = left.others <= 0 || (left.SIGKILL > 0 && random.integer(0, 1) === 0) ? "SIGKILL" : "others"
      const signal = kind === "SIGKILL" ? kind : SIGNALS[random.integer(0, 2)]!
      const timed = random.integer(0, 2) === 0
      const wait = Math.round(millis * random.uniform())
      const trap = timed ? null : trapOf(random, signal)
      const found = await child(work, join(at, "run"), trap, timed ? [wait, signal] : undefined)
      const place = trap === null ? "at a random time" : trap.place
      told.push(trap === null ? `${signal} after ${wait} ms` : `${signal} ${trap.place} ${trap.nth}`)
      if (found.code === 0) break
      const expected = signal === "SIGKILL"
        ? found.signal === signal
        : found.code === CODES[signal] || found.signal === signal
      if (!expected) {
        fault(`kill, ${work.name}, ${told.join(", ")}: ended with ${found.code ?? found.signal}: ${found.stderr}`)
      }
      left[kind]--
      const key = `${work.name}\t${kind === "SIGKILL" ? "SIGKILL" : "other signals"}\t${place}`
      ended.set(key, (ended.get(key) ?? 0) + 1)
    }
    const last = await child(work, join(at, "run"), null)
    const said = `kill, ${work.name}, chain ${chain} of seed ${seed}: ${told.join(", ")}`
    if (last.code !== 0) {
      cpSync(at, join(root, `kept-${chain}`), { recursive: true })
      fault(`${said}: ${last.stderr}`)
    } else if (differs(work, contentsOf(at), whole)) fault(`${said}: other files`)
    if (chain % 10 === 9) {
      say(`${most - left.SIGKILL} kills, ${most - left.others} other signals, ${faults.length} faults`)
    }
  }
  for (const [key, count] of [...ended].toSorted(([a], [b]) => a < b ? -1 : 1)) {
    const [work, by, place] = key.split("\t") as [string, string, string]
    table.push({ campaign: "kills", work, by, place, count })
  }
}

try {
  if (values.power !== undefined) { for (const work of chosen) await power(work, values.power) }
  if (values.failures !== undefined) { for (const work of chosen) await failing(work, values.failures) }
  if (values.count !== undefined) await kills(Number(values.count))
  for (const row of table) say(JSON.stringify(row))
  say(`${faults.length} faults`)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ table, faults }, null, 2)}\n`)
} finally {
  await runtime.dispose()
  if (faults.length === 0) rmSync(root, { recursive: true, force: true })
}
process.exitCode = faults.length === 0 ? 0 : 1
