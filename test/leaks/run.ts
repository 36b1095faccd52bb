/**
 * Looks for what engines do not give back: `npm run leaks -- --count 10000`. Plays random sequences of opening, running, failing,
 * interrupting and closing on each engine of this machine. After each of them, the engine holds the handles, arrays and bytes, and the
 * process the open files, threads and temporary files of before. What a process opens once, and the threads of pools, it opens
 * before, with two engines, as many handles as a sequence can have, and `--warm-up 30` further sequences. `--engine NAME` selects an engine, `--seed` draws
 * others. On onnxruntime-web, no step runs out of memory: its WebAssembly would keep what the failed run had taken.
 */
import { Cause, Effect, Exit, Layer, ManagedRuntime } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type Candidate, onnx, openvino, reference, tensorflow, web, xla } from "../layers/engine/engines.ts"
import { drawn, leaked, type Sequence, warmUp } from "./leaks.ts"
import { resources } from "./resources.ts"

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "600" },
    seed: { type: "string", default: "0" },
    "warm-up": { type: "string", default: "30" },
    engine: { type: "string", multiple: true }
  }
})

const seed = Number(values.seed)
const say = (line: string) => void process.stdout.write(`${line}\n`)
const mebibytes = () => Math.round(process.memoryUsage.rss() / 2 ** 20)

const root = mkdtempSync(join(tmpdir(), "patchword-leaks-"))
// So that what others leave is not counted.
process.env["TMPDIR"] = root

const all = [onnx, web, openvino, tensorflow, xla, reference].filter(({ missing, name }) => {
  if (values.engine?.includes(name) === false) return false
  if (missing !== undefined) say(`${name} is skipped: ${missing}`)
  return missing === undefined
})
if (all.length === 0) throw new Error("no engine to play on")

let faults = 0

const campaign = async ({ layer, name }: Candidate, count: number) => {
  const runtime = ManagedRuntime.make(Layer.fresh(layer))
  const kinds: Record<string, number> = {}
  const memory: Array<number> = []
  const play = async (sequence: Sequence) => {
    const exit = await runtime.runPromise(Effect.exit(leaked(sequence, layer, most)))
    return Exit.isSuccess(exit) ? exit.value && JSON.stringify(exit.value) : Cause.pretty(exit.cause)
  }
  await runtime.runPromise(warmUp(layer))
  let most = Infinity
  for (const sequence of drawn(seed + 1, Number(values["warm-up"]))) await play(sequence)
  // Libraries start the threads of their pools when these have work, at most as many as there are cores.
  const first = resources().threads
  most = first + availableParallelism()
  for (const [index, given] of drawn(seed, count).entries()) {
    const sequence: Sequence = name === web.name && given.kind === "out of memory"
      ? { ...given, kind: "actions" }
      : given
    const found = await play(sequence)
    kinds[sequence.kind] = (kinds[sequence.kind] ?? 0) + 1
    if (index % Math.ceil(count / 10) === 0) memory.push(mebibytes())
    if (found === undefined) continue
    faults++
    say(`FAULT ${name}, sequence ${index} of seed ${seed} ${JSON.stringify(sequence)}: ${found}`)
  }
  await runtime.dispose()
  say(
    JSON.stringify({
      engine: name,
      sequences: count,
      kinds,
      threads: [first, resources().threads],
      mebibytes: [...memory, mebibytes()]
    })
  )
}

const share = Math.ceil(Number(values.count) / all.length)
for (const candidate of all) await campaign(candidate, share)
say(`${faults} faults`)
rmSync(root, { recursive: true })
process.exitCode = faults === 0 ? 0 : 1
