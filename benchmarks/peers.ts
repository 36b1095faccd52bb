/**
 * Our steps beside PyTorch's, in turn and in the same minutes: `npm run bench -- peers [--models small,base]
 * [--stages mim,vqkd,features,codes] [--batch N] [--precisions fp32,bf16] [--engines onnx,openvino,tensorflow,auto]
 * [--ways plain,tuned,compiled,compiled-tuned] [--rounds 3] [--steps 8] [--keep NAME]`. The engines onnx and auto have fp32 alone.
 *
 * PyTorch is installed from PyPI outside of the repository (several GB on Linux; `--python FILE` uses an interpreter that
 * has it). It runs as it comes (`plain`), with glibc's allocator told to keep large arrays (`tuned`), and with torch.compile
 * (`compiled`), which needs a C++ compiler. For each step, a table has a row for each engine and each way: the median of its
 * rates and its ratios to the best of PyTorch's ways (`comparison.ts`); what does not run here follows with the reason. `--keep`
 * writes the figures to `benchmarks/results/NAME.json`, with the machine and the versions.
 */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Python from "../scripts/python.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Comparison from "./comparison.ts"
import { sizesOf } from "./sizes.ts"
import { small } from "./steps.ts"

const BATCH: Readonly<Record<string, number>> = { small: 16 }
const BATCH_OF_OTHERS = 8
const FP32_ALONE = new Set(["onnx", "auto"])
const INSTRUCTIONS = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"]
const COLUMNS = [
  "by",
  "way",
  "precision",
  "imagesPerSecond",
  "best",
  "ratio",
  "leastRatio",
  "greatestRatio",
  "ratioBesideProducts",
  "megabytes"
]

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "small,base" },
    stages: { type: "string", default: "mim,vqkd" },
    batch: { type: "string" },
    precisions: { type: "string", default: "fp32" },
    engines: { type: "string", default: "onnx" },
    ways: { type: "string", default: Comparison.ways.map(({ name }) => name).join(",") },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "8" },
    python: { type: "string" },
    keep: { type: "string" }
  }
})

interface Process extends Omit<Comparison.Contender, "rounds"> {
  readonly environment: Readonly<Record<string, string>>
  readonly command: string
  readonly args: ReadonlyArray<string>
}

const UNAVAILABLE = 69

/** The figures of a process, or the reason why it does not run on this machine. */
const run = ({ args, by, command, environment, precision, way }: Process): Comparison.Figures | string => {
  const { status, stderr, stdout } = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  if (status === 0) {
    const figures: Comparison.Figures = JSON.parse(stdout)
    process.stderr.write(`${by}, ${way}, ${precision}: ${figures.imagesPerSecond.toPrecision(3)} images/s\n`)
    return figures
  }
  if (status === UNAVAILABLE) return stderr.trimEnd().split("\n").at(-1)!
  process.stderr.write(`${stderr}${command} ${args.join(" ")} failed\n`)
  process.exit(status ?? 70)
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))

const python = values.python ?? Python.environment()
const threads = availableParallelism()
const precisions = values.precisions.split(",")
const ways = values.ways.split(",").map((name) => {
  const way = Comparison.ways.find((one) => one.name === name)
  if (way !== undefined) return way
  process.stderr.write(`expected --ways of ${Comparison.ways.map((one) => one.name).join(", ")}; found ${name}\n`)
  process.exit(64)
})
const steps: Array<object> = []
for (const model of values.models.split(",")) {
  const preset = model === "small" ? small : await Effect.runPromise(Presets.preset(model))
  const batch = Number(values.batch ?? BATCH[model] ?? BATCH_OF_OTHERS)
  for (const stage of values.stages.split(",")) {
    const sizes = { ...sizesOf(preset, stage, batch), threads, steps: Number(values.steps) }
    const sized = ["--model", model, "--stage", stage, "--batch", `${batch}`, "--threads", `${threads}`]
    const step = ["--disable-warning=ExperimentalWarning", file("step.ts"), "--steps", values.steps, "--json"]
    const processes = precisions.flatMap((precision): ReadonlyArray<Process> => [
      ...values.engines.split(",").filter((way) => precision === "fp32" || !FP32_ALONE.has(way)).map((way) => ({
        by: "patchword" as const,
        way,
        precision,
        environment: {},
        command: process.execPath,
        args: [...step, ...sized, "--engine", way, "--precision", precision]
      })),
      ...ways.map(({ compile, environment, name: way }) => ({
        by: "PyTorch" as const,
        way,
        precision,
        environment,
        command: python,
        args: [file("peer.py"), JSON.stringify({ ...sizes, precision, compile: compile ? "default" : null })]
      }))
    ])
    const rounds = Array.from({ length: Number(values.rounds) }, () => processes.map(run))
    const found = processes.map(({ by, precision, way }, at) => {
      const all = rounds.map((round) => round[at]!)
      const reason = all.find((one) => typeof one === "string")
      return { by, way, precision, reason, rounds: all.filter((one) => typeof one === "object") }
    })
    const rows = Comparison.rows(found.filter(({ reason }) => reason === undefined))
    const missing = found.flatMap(({ by, precision, reason, way }) =>
      reason === undefined ? [] : [{ by, way, precision, reason }]
    )
    steps.push({ model, stage, batch, rows, missing })
    console.log(`${model}, ${stage}, batch ${batch}`)
    console.table(rows, COLUMNS)
    for (const { by, precision, reason, way } of missing) console.log(`${by}, ${way}, ${precision}: ${reason}`)
  }
}
if (values.keep !== undefined) {
  const known = existsSync("/proc/cpuinfo") ? new Set(readFileSync("/proc/cpuinfo", "utf8").split(/\s+/)) : new Set()
  const machine = {
    processor: cpus()[0]!.model,
    instructions: INSTRUCTIONS.filter((name) => known.has(name)),
    cores: threads,
    gigabytes: Math.round(totalmem() / 2 ** 30)
  }
  mkdirSync(file("results"), { recursive: true })
  writeFileSync(
    file(`results/${values.keep}.json`),
    `${JSON.stringify({ machine, node: process.version, rounds: Number(values.rounds), steps }, undefined, 2)}\n`
  )
}
