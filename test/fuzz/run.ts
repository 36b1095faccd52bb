/**
 * The campaign of fuzzing: `npm run fuzz -- --count 1000000`. It divides the count among the readers, and runs them in processes of
 * their own. A process that dies, hangs or takes too much memory is a fault of the case that it ran.
 */
import { fork } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Files, Reader } from "./Case.ts"
import type { News, Task } from "./child.ts"
import * as Examine from "./Examine.ts"
import { readers } from "./readers.ts"

const { values: given } = parseArgs({
  options: {
    count: { type: "string", default: "10000" },
    reader: { type: "string", multiple: true },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    keep: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const HELP = `npm run fuzz -- [--count N] [--reader NAME]... [--seed N] [--from N] [--keep FOLDER]

  --count   number of inputs, divided among the readers (default 10000)
  --reader  ${readers.map(({ name }) => name).join(", ")}
  --seed    another seed makes other inputs (default 1)
  --from    number of the first input of a reader (default 0); with --count 1, one input again
  --keep    writes the inputs that failed into this folder`

/** Cases that a process runs before another one takes its place. */
const BATCH = 4000
const POLL = 250
const MOST = 3 * 2 ** 30

interface Fault {
  readonly reader: string
  readonly index: number
  readonly what: string
}

const memoryOf = (pid: number | undefined): number => {
  try {
    return 4096 * Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1])
  } catch {
    return 0
  }
}

const child = fileURLToPath(new URL("child.ts", import.meta.url))

/** Runs a task in a process. Returns the first case that it has not run. */
const attempt = (task: Task, count: (ended: Examine.Ended) => void, fail: (index: number, what: string) => void) =>
  new Promise<number>((resolve) => {
    const worker = fork(child, {
      execArgv: ["--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "pipe", "ipc"]
    })
    let present: { readonly index: number; readonly at: number } | undefined
    let next = task.from
    let last = ""
    let why: string | undefined
    worker.stderr!.on("data", (part: Buffer) => {
      last = `${last}${part}`.slice(-2000)
    })
    const watch = setInterval(() => {
      const { index, at } = present ?? {}
      if (index !== undefined && at !== undefined && Date.now() - at > 2000 * Examine.WAITING) why = "it hangs"
      if (memoryOf(worker.pid) > MOST) why = "it takes more than 3 GiB of memory"
      if (why !== undefined) worker.kill("SIGKILL")
    }, POLL)
    worker.on("message", (message) => {
      const news = message as News
      if (present !== undefined && news.before !== undefined) {
        count(news.before)
        if (news.before.kind === "fault") fail(present.index, news.before.what)
      }
      present = news._tag === "Began" ? { index: news.index, at: Date.now() } : undefined
      next = news._tag === "Began" ? news.index : task.until
    })
    worker.on("exit", (code, signal) => {
      clearInterval(watch)
      if (present !== undefined) {
        fail(present.index, why ?? `the process ended (${signal ?? code}): ${last}`)
        next = present.index + 1
      } else if (next === task.from) {
        fail(next, `the process ended before the case (${signal ?? code}): ${last}`)
        next += 1
      }
      resolve(next)
    })
    worker.send(task)
  })

const keep = (folder: string, files: Files): void => {
  for (const [name, content] of Object.entries(files)) {
    if (typeof content === "object" && "link" in content) continue
    const file = join(folder, encodeURIComponent(name))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
}

const campaign = async (reader: Reader, count: number): Promise<number> => {
  const [seed, from] = [Number(given.seed), Number(given.from)]
  const kinds = new Map<string, number>()
  const faults = new Map<string, Fault & { times: number }>()
  const began = Date.now()
  let at = from
  while (at < from + count) {
    const until = Math.min(from + count, at + BATCH)
    at = await attempt(
      { reader: reader.name, seed, from: at, until },
      ({ kind, what }) =>
        void kinds.set(kind === "fault" ? "fault" : what, (kinds.get(kind === "fault" ? "fault" : what) ?? 0) + 1),
      (index, what) => {
        const key = what.replaceAll(/\d+/g, "#").slice(0, 200)
        const known = faults.get(key)
        if (known !== undefined) return void known.times++
        faults.set(key, { reader: reader.name, index, what, times: 1 })
        console.error(`FAULT ${reader.name} --seed ${seed} --from ${index}: ${what.slice(0, 1500)}`)
      }
    )
  }
  const seconds = (Date.now() - began) / 1000
  const told = [...kinds].toSorted((a, b) => b[1] - a[1]).map(([kind, times]) => `${kind} ${times}`).join(", ")
  console.log(`${reader.name}: ${count} inputs in ${seconds.toFixed(0)} s, ${faults.size} kinds of faults; ${told}`)
  if (given.keep !== undefined) {
    for (const { index } of faults.values()) {
      keep(join(given.keep, reader.name, `${seed}-${index}`), await Examine.inputOf(reader, seed, index))
    }
  }
  return faults.size
}

if (given.help) console.log(HELP)
else {
  const chosen = readers.filter(({ name }) => given.reader?.includes(name) ?? true)
  if (chosen.length === 0) throw new Error(HELP)
  const whole = chosen.reduce((sum, { tests }) => sum + tests, 0)
  let faults = 0
  for (const reader of chosen) {
    faults += await campaign(reader, Math.max(1, Math.round(Number(given.count) * reader.tests / whole)))
  }
  process.exit(faults === 0 ? 0 : 1)
}
