/**
 * The command `npm run same`: which bytes are equal. On every engine of this machine it trains a tiny tokenizer, pretrains and
 * fine-tunes: twice, and again from each step at which it was interrupted. It compares the digests of the weights and of the log.
 * `--engine NAME` selects engines, `--json FILE` keeps the digests, and `--with FILE` compares them with those of another machine.
 * It ends with 1 if the same engine with the same threads gave other bytes.
 */
import { Effect, Layer } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { type Candidate, onnx, openvino, reference, tensorflow, xla } from "../layers/engine/engines.ts"
import { type Digests, digests } from "./digests.ts"

const { values: given } = parseArgs({
  options: {
    engine: { type: "string", multiple: true },
    json: { type: "string" },
    with: { type: "string" }
  }
})

const candidates: ReadonlyArray<Candidate> = [
  { ...onnx, name: "onnx, 1 thread", layer: Engine.layerOnnx({ threads: 1 }) },
  { ...onnx, name: "onnx, 2 threads", layer: Engine.layerOnnx({ threads: 2 }) },
  { ...openvino, name: "openvino, 1 thread", layer: Engine.layerOpenVino({ threads: 1 }) },
  { ...openvino, name: "openvino, 2 threads", layer: Engine.layerOpenVino({ threads: 2 }) },
  { ...tensorflow, name: "tensorflow" },
  { ...xla, name: "xla" },
  { ...reference, name: "reference" }
]

const asked = candidates.filter(({ missing, name }) =>
  missing === undefined && (given.engine?.some((engine) => name.split(",")[0] === engine) ?? true)
)

const say = (cells: ReadonlyArray<string>) =>
  process.stdout.write(`${cells.map((cell, at) => cell.padEnd(at === 0 ? 20 : 12)).join("  ").trimEnd()}\n`)

const same = (one: string, other: string | undefined): string =>
  other === undefined ? "-" : one === other ? "same" : "other"

const other: Readonly<Record<string, Digests>> = given.with === undefined
  ? {}
  : JSON.parse(readFileSync(given.with, "utf8")).digests

const found: Record<string, Digests> = {}
let faults = 0
say(["engine", "again", "resumed", "first row", "elsewhere"])
for (const { layer, name } of asked) {
  const { again, once, resumed } = found[name] = await Effect.runPromise(Effect.provide(digests, Layer.fresh(layer)))
  const kept = resumed.filter((one) => one === once).length
  if (again !== once || kept < resumed.length) faults++
  const first = Object.values(found)[0]!.once
  say([name, same(once, again), `${kept} of ${resumed.length}`, same(once, first), same(once, other[name]?.once)])
}
if (given.json !== undefined) {
  const machine = { processor: cpus()[0]!.model, cores: cpus().length, node: process.version }
  writeFileSync(given.json, `${JSON.stringify({ ...machine, digests: found }, undefined, 2)}\n`)
}
process.exitCode = faults === 0 ? 0 : 1
