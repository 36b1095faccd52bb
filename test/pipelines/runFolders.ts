import { mkdirSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import type { Result } from "../../src/layers/run/Results.ts"

export const write = (folder: string, files: Readonly<Record<string, unknown>>) => {
  for (const [name, content] of Object.entries(files)) {
    const place = join(folder, name)
    mkdirSync(dirname(place), { recursive: true })
    writeFileSync(place, typeof content === "string" ? content : JSON.stringify(content))
  }
}

export const rows = (all: ReadonlyArray<object>): string => all.map((row) => `${JSON.stringify(row)}\n`).join("")

export const steps = (stage: string, from: number, to: number, loss = (step: number) => 1 / step) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ stage, step: from + i, loss: loss(from + i), lr: 0.001 }))

export const config = {
  tokenizer: { optimizer: { batchSize: 8, unit: "steps", duration: 20, lr: 0.001 } },
  pretrain: { optimizer: { batchSize: 16, unit: "epochs", duration: 3, lr: 0.002 } }
}

export const lock = (pid: number, host = hostname()) => ({ pid, host, started: null })

export const result = (change: Partial<Result> = {}): Result => ({
  verb: "probe",
  network: "pretrain",
  split: "val",
  images: 600,
  classes: 8,
  top1: 0.45,
  interval: [0.41, 0.49],
  largestClass: 0.2,
  digests: { weights: "w", train: "t", images: "i" },
  settings: { config: { iterations: 3 }, l2: 0.1 },
  computedOn: { engine: "onnx cpu", version: "1.30.0", threads: 1, precision: "fp32" },
  patchword: "0.1.0",
  ...change
})

export const run = (folder: string, more: Readonly<Record<string, unknown>> = {}) =>
  write(folder, { "config.json": config, "environment.json": { node: "v22", cores: 2 }, ...more })
