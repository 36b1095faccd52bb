/**
 * The effect of gradients in bf16 between ranks on a curve: the demo's network is pretrained on emoji by one rank, by two ranks, and by two
 * ranks with `--wire bf16`, with the same seed. Prints the losses, and how far each run is from that of two ranks in fp32.
 *
 * It needs `npm run setup:mpi`. `npm run bench -- wire 200` takes 200 steps.
 */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as MpiLibrary from "../src/layers/ranks/MpiLibrary.ts"

const [steps = "200"] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), "patchword-wire-"))
const launcher = await Effect.runPromise(MpiLibrary.launcher)
const node = [
  process.execPath,
  "--disable-warning=ExperimentalWarning",
  fileURLToPath(new URL("../src/cli/bin.ts", import.meta.url))
]

const length = (stage: string, duration: string) =>
  ["batchSize=16", "unit=steps", `duration=${duration}`, "warmup=10"].flatMap((setting) => [
    "--set",
    `${stage}.optimizer.${setting}`
  ])

const patchword = (ranks: number, run: string, words: ReadonlyArray<string>): string => {
  const out = join(folder, run)
  const [program, ...args] = [...(ranks === 1 ? [] : [launcher, "-n", String(ranks)]), ...node]
  const all = [...args, ...words, "--preset", "tiny", "--threads", "1", "--out", out]
  const { status, stderr } = spawnSync(program!, all, { encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
  return out
}

const losses = (out: string): ReadonlyArray<number> =>
  readFileSync(join(out, "log.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line).loss as number)

const mean = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length

const short = (value: number): number => Number(value.toPrecision(3))

try {
  const tokenizer = patchword(1, "tokenizer", ["tokenizer", "train", ...length("tokenizer", "40")])
  const pretrain = ["pretrain", "--tokenizer", tokenizer, ...length("pretrain", steps)]
  const runs = {
    one: losses(patchword(1, "one", pretrain)),
    two: losses(patchword(2, "two", pretrain)),
    bf16: losses(patchword(2, "bf16", [...pretrain, "--wire", "bf16"]))
  }
  const last = (run: ReadonlyArray<number>) => run.slice(-Math.ceil(run.length / 10))
  for (const [name, run] of Object.entries(runs)) {
    const apart = run.map((loss, i) => Math.abs(loss - runs.two[i]!))
    console.log(JSON.stringify({
      name,
      steps: run.length,
      first: short(run[0]!),
      lastTenth: Number(mean(last(run)).toFixed(4)),
      meanDifference: short(mean(apart)),
      largestDifference: short(Math.max(...apart)),
      lastTenthDifference: short(mean(last(run)) - mean(last(runs.two)))
    }))
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
