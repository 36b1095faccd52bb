/**
 * Our engines beside PyTorch on one GPU, in turn on the same card: `npm run bench -- gpu --out FOLDER [--minutes 25] [--continue]
 * [--python FILE] [--plugin FILE] [--device cuda|cpu] [--models base,large] [--stages mim,vqkd,features,codes] [--batches 64,8]
 * [--precisions bf16,tf32,fp32] [--ways eager,xla,...] [--limit 300] [--steps 20] [--seconds 3] [--plan] [--pack FILE]`.
 *
 * Each part, one step of one engine, runs in a process of its own, the most valuable parts first (`--plan` lists them). A part that
 * fails, hangs or dies has the reason as its result, and the others go on. The command ends after `--minutes`. It needs no
 * internet: what the machine lacks is said at the start, and those parts are left out.
 *
 * The folder gets `results.json`, `results.md` with the table of ratios, and `log.txt` with the output of all processes. They are
 * written after each part. `--continue` goes on with a folder, and does not repeat its parts; `--retry` repeats those that failed.
 * `--device cpu --models tiny` tries all of it on a processor. `--pack FILE` packs Node.js and the packages that the command loads into
 * an archive of about 35 MB, for a machine without npm.
 */
import { Effect } from "effect"
import { appendFileSync, mkdirSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Python from "../scripts/python.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Card from "./gpu/card.ts"
import * as Machine from "./gpu/machine.ts"
import { measure } from "./gpu/measure.ts"
import { pack } from "./gpu/pack.ts"
import { keyOf, type Part, plan, ways } from "./gpu/parts.ts"
import * as Process from "./gpu/process.ts"
import * as Results from "./gpu/results.ts"
import * as Table from "./gpu/table.ts"
import { sizesOf } from "./sizes.ts"
import { small } from "./steps.ts"

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    minutes: { type: "string", default: "25" },
    continue: { type: "boolean", default: false },
    retry: { type: "boolean", default: false },
    plan: { type: "boolean", default: false },
    pack: { type: "string" },
    python: { type: "string" },
    plugin: { type: "string" },
    device: { type: "string", default: "cuda" },
    models: { type: "string", default: "base,large" },
    stages: { type: "string", default: "mim,vqkd,features,codes" },
    batches: { type: "string", default: "64,8" },
    precisions: { type: "string", default: "bf16,tf32,fp32" },
    ways: { type: "string", default: Object.keys(ways).join(",") },
    limit: { type: "string", default: "300" },
    steps: { type: "string", default: "20" },
    seconds: { type: "string", default: "3" }
  }
})

const began = performance.now()
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const refuse = (message: string): never => {
  process.stderr.write(`${message}\n`)
  process.exit(64)
}
const list = (name: "models" | "stages" | "batches" | "precisions" | "ways", allowed?: ReadonlyArray<string>) => {
  const given = values[name].split(",")
  const wrong = given.find((one) => allowed?.includes(one) === false)
  return wrong === undefined ? given : refuse(`expected --${name} of ${allowed!.join(", ")}; found ${wrong}`)
}
const number = (name: "minutes" | "limit" | "steps" | "seconds"): number => {
  const found = Number(values[name])
  return found > 0 ? found : refuse(`expected --${name} above 0; found ${values[name]}`)
}

const device = values.device === "cpu" || values.device === "cuda"
  ? values.device
  : refuse(`expected --device cuda or cpu; found ${values.device}`)
const parts = plan({
  models: list("models"),
  stages: list("stages", ["mim", "vqkd", "features", "codes"]),
  batches: list("batches").map(Number),
  precisions: list("precisions", ["bf16", "tf32", "fp32"]),
  ways: list("ways", Object.keys(ways))
})
if (parts.length === 0) refuse("nothing is left to measure: choose more")
if (values.plan) {
  for (const part of parts) say(keyOf(part))
  process.exit()
}
const presets = new Map(
  await Promise.all(
    list("models").map(async (model) =>
      [model, model === "small" ? small : await Effect.runPromise(Presets.preset(model))] as const
    )
  )
)
if (values.pack !== undefined) {
  say(pack(resolve(values.pack)))
  process.exit()
}
const [minutes, limit, steps, seconds] = [number("minutes"), number("limit"), number("steps"), number("seconds")]
const out = values.out ?? refuse("expected --out FOLDER, where the results go")
const known = Results.read(out)
if (known !== undefined && !values.continue) {
  refuse(`${out} has results of an earlier run: add --continue, or name another folder`)
}

const machine = await Machine.find(
  device,
  values.python === undefined ? [Python.PYTHON, "python3", "python"] : [values.python],
  values.plugin
)
const card = device === "cuda" ? Card.about() : undefined
const setting = { device, name: card?.name ?? null, steps, seconds }
if (known !== undefined && JSON.stringify(known.setting) !== JSON.stringify(setting)) {
  refuse(
    `${out} has results of ${JSON.stringify(known.setting)}, and this run is ${
      JSON.stringify(setting)
    }: name another folder`
  )
}

const commandOf = ({ batch, model, precision, stage, way }: Part, more: object = {}): Process.Command => {
  const { by, compile, engine, profile, xla } = ways[way]!
  const given = { model, stage, batch, precision, device, steps, seconds, ...more }
  return by === "PyTorch"
    ? Machine.theirs(machine, {
      ...sizesOf(presets.get(model)!, stage, batch),
      ...given,
      compile,
      threads: availableParallelism()
    })
    : Machine.ours(machine, { ...given, engine: engine!, profile, xla })
}

const PROBE_SECONDS = 90
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    Process.endAll()
    process.exit(130)
  })
}

mkdirSync(out, { recursive: true })
const write = (text: string): void => appendFileSync(join(out, "log.txt"), `${text}\n`)
write(`---- ${new Date().toISOString()} ${process.argv.slice(2).join(" ")}`)

const started = new Map<string, Promise<Process.Ended<{ readonly engine: string }>>>()

/** Says what each way lacks. Engines of ours are started once, in fp32. */
const lackOf = async (way: string): Promise<string | undefined> => {
  const { by, engine } = ways[way]!
  if (by === "PyTorch") {
    const { about, python } = machine
    if (about?.torch == null) return `${python} has no PyTorch: name one that has it (--python FILE)`
    return device === "cuda" && about.gpu === null ? `PyTorch ${about.torch} of ${python} sees no GPU` : undefined
  }
  if (engine === "xla" && machine.plugin === undefined) {
    return `there is no plugin of XLA: run "patchword setup xla --platform ${device}", or name one (--plugin FILE)`
  }
  const probe = commandOf({ ...parts[0]!, precision: "fp32", way }, { probe: true })
  const known = started.get(engine!)
  const starting = known ?? Process.run<{ readonly engine: string }>(probe, PROBE_SECONDS * 1000)
  started.set(engine!, starting)
  const ended = await starting
  if (known === undefined) write(`---- start of ${engine}\n${ended.log}`)
  if ("reason" in ended) return ended.reason
  if (known === undefined) say(`${engine}: ${ended.figures.engine}`)
  return undefined
}

const lacks: Record<string, string> = {}
say(card === undefined ? `device: ${device}` : `${card.name}, driver ${card.driver}`)
if (machine.about?.torch != null) say(`eager, compile: PyTorch ${machine.about.torch} of ${machine.python}`)
const chosen = new Set(parts.map(({ way }) => way))
for (const way of chosen) {
  const reason = await lackOf(way)
  if (reason !== undefined) lacks[way] = reason
}
for (const missing of Table.lacking(lacks)) say(`left out: ${missing}`)

let found: Results.Results = {
  setting,
  machine: { card, ...Machine.about(machine) },
  lacks,
  parts: Object.fromEntries(
    Object.entries(known?.parts ?? {}).filter(([, { reason }]) => !(values.retry && reason !== undefined))
  )
}
const keep = (): void => {
  Results.write(out, { ...found, rows: Table.rows(found.parts) })
  Results.put(out, "results.md", Table.page(found, parts))
}
keep()
const left = (): number => minutes * 60_000 - (performance.now() - began)
const told = ({ figures, reason }: Results.Entry): string =>
  figures === undefined
    ? reason!
    : `${figures.stepMs.median.toPrecision(4)} ms, ${figures.imagesPerSecond.toPrecision(4)} images/s`
const count = parts.filter((part) => found.parts[keyOf(part)] === undefined && lacks[part.way] === undefined).length
say(`${count} parts, ${Math.round(left() / 60_000)} minutes`)
await measure(parts, {
  known: found.parts,
  lacks,
  limit: limit * 1000,
  left,
  watch: device === "cuda" ? Card.watch : () => () => undefined,
  run: (part, most) => Process.run(commandOf(part), most),
  keep: (all, latest, log) => {
    found = { ...found, parts: all }
    keep()
    write(`---- ${keyOf(latest)}\n${log}`)
    say(`${keyOf(latest)}: ${told(latest)} (${latest.seconds} s, ${Math.round(left() / 60_000)} minutes left)`)
  }
})
say(Table.page(found, parts))
say(`The results are in ${out}`)
// What a process left open may not hold up the end.
process.exit(Object.values(found.parts).some(({ figures }) => figures !== undefined) ? 0 : 69)
