/**
 * Our steps beside PyTorch's, in turn and in the same minutes: `npm run bench -- peers [--models small,base]
 * [--stages mim,vqkd,features,codes] [--batch N] [--precisions fp32,bf16] [--engine onnx] [--rounds 2] [--steps 8]
 * [--keep NAME]`. ONNX Runtime's steps are fp32 beside either of PyTorch's.
 *
 * PyTorch is installed from PyPI outside of the repository (several GB on Linux; `--python FILE` uses an interpreter that
 * has it). For each step: both rates, their ratio, and the ratio that is left when each is divided by its library's own rate
 * at matrix products; for bf16 also the ratio to PyTorch's fp32, where `--precisions fp32,bf16` asks for both. `--keep` writes
 * the figures to `benchmarks/results/NAME.json`, with the machine and the versions.
 */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Python from "../scripts/python.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import { small, TEACHER_WIDTH } from "./steps.ts"

const BATCH: Readonly<Record<string, number>> = { small: 16 }
const BATCH_OF_OTHERS = 8
const BACKBONE = new Set(["mim", "features"])

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "small,base" },
    stages: { type: "string", default: "mim,vqkd" },
    batch: { type: "string" },
    precisions: { type: "string", default: "fp32" },
    engine: { type: "string", default: "onnx" },
    rounds: { type: "string", default: "2" },
    steps: { type: "string", default: "8" },
    python: { type: "string" },
    keep: { type: "string" }
  }
})

interface Figures {
  readonly engine: string
  readonly imagesPerSecond: number
  readonly matmulGigaflopsPerSecond: number
  readonly peakMegabytes: number
}

const run = (command: string, ...args: ReadonlyArray<string>): Figures => {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", 2] })
  if (status === 0) return JSON.parse(stdout)
  process.stderr.write(`${command} ${args.join(" ")} failed\n`)
  process.exit(69)
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const best = (all: ReadonlyArray<Figures>) => all.reduce((a, b) => (b.imagesPerSecond > a.imagesPerSecond ? b : a))
const digits = (value: number) => Number(value.toPrecision(3))

const python = values.python ?? Python.environment()
const threads = availableParallelism()
const rows: Array<Record<string, string | number>> = []
for (const model of values.models.split(",")) {
  const { pretrain, tokenizer } = model === "small" ? small : await Effect.runPromise(Presets.preset(model))
  const batch = Number(values.batch ?? BATCH[model] ?? BATCH_OF_OTHERS)
  for (const stage of values.stages.split(",")) {
    const { depth, heads, hidden, imageSize, patchSize, width } = BACKBONE.has(stage) ? pretrain.vit : tokenizer.encoder
    const sizes = {
      stage,
      batch,
      threads,
      depth,
      heads,
      hidden,
      width,
      image: imageSize,
      patch: patchSize,
      codes: tokenizer.codebook.size,
      codeWidth: tokenizer.codebook.dim,
      teacher: TEACHER_WIDTH,
      decoderDepth: tokenizer.decoderDepth,
      masked: pretrain.mask.count,
      ...pretrain.aggregation,
      steps: Number(values.steps)
    }
    let plain: Figures | undefined
    for (const precision of values.precisions.split(",")) {
      const ours: Array<Figures> = []
      const theirs: Array<Figures> = []
      const asked = ["--model", model, "--stage", stage, "--batch", `${batch}`, "--threads", `${threads}`, "--json"]
      for (let round = 0; round < Number(values.rounds); round++) {
        const own = ["--engine", values.engine, ...(values.engine === "onnx" ? [] : ["--precision", precision])]
        const step = [file("step.ts"), ...asked, ...own, "--steps", values.steps]
        ours.push(run(process.execPath, "--disable-warning=ExperimentalWarning", ...step))
        theirs.push(run(python, file("peer.py"), JSON.stringify({ ...sizes, precision })))
      }
      const [mine, peer] = [best(ours), best(theirs)]
      if (precision === "fp32") plain = peer
      const ratio = mine.imagesPerSecond / peer.imagesPerSecond
      const products = mine.matmulGigaflopsPerSecond / peer.matmulGigaflopsPerSecond
      const row = {
        model,
        stage,
        batch,
        ours: mine.engine,
        peer: `${peer.engine}, ${precision}`,
        imagesPerSecond: digits(mine.imagesPerSecond),
        peerImagesPerSecond: digits(peer.imagesPerSecond),
        ratio: digits(ratio),
        productRatio: digits(products),
        ratioBesideProducts: digits(ratio / products),
        ...(precision === "fp32" || plain === undefined
          ? {}
          : { ratioToFp32: digits(mine.imagesPerSecond / plain.imagesPerSecond) }),
        megabytes: mine.peakMegabytes,
        peerMegabytes: peer.peakMegabytes
      }
      rows.push(row)
      process.stdout.write(`${JSON.stringify(row)}\n`)
    }
  }
}
if (values.keep !== undefined) {
  const machine = { processor: cpus()[0]!.model, cores: threads, gigabytes: Math.round(totalmem() / 2 ** 30) }
  mkdirSync(file("results"), { recursive: true })
  writeFileSync(
    file(`results/${values.keep}.json`),
    `${JSON.stringify({ machine, node: process.version, rounds: Number(values.rounds), rows }, undefined, 2)}\n`
  )
}
