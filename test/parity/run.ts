/** `npm run parity -- FOLDER [--engine reference|tensorflow] [--only NAME]`: compares ours with a folder of official numbers. */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Runner from "./runner.ts"

const usage = "npm run parity -- FOLDER [--engine onnx|reference|tensorflow] [--only NAME]\n"

const parsed = () => {
  try {
    const { positionals: [folder, ...more], values } = parseArgs({
      allowPositionals: true,
      options: { engine: { type: "string", default: "onnx" }, only: { type: "string" } }
    })
    const layer = {
      onnx: Engine.layerOnnx(),
      reference: Engine.layerReference,
      tensorflow: Engine.layerTensorFlow()
    }[values.engine]
    return folder === undefined || more.length > 0 || layer === undefined ? undefined : { folder, layer, ...values }
  } catch {
    return undefined
  }
}

const given = parsed()
if (given === undefined) {
  process.stderr.write(usage)
  process.exit(64)
}
const { engine, folder, layer, only } = given
const found = Runner.names(folder).filter((name) => only === undefined || name === only)
if (found.length === 0) {
  process.stderr.write(`there are no fixtures in ${folder}\n`)
  process.exit(66)
}

const print = (text: string) => void process.stdout.write(`${text}\n`)
const program = Effect.gen(function*() {
  const outcomes = yield* Effect.forEach(
    found,
    (name) => Effect.tap(Runner.run(folder, name), (outcome) => Effect.sync(() => Runner.lines(outcome).forEach(print)))
  )
  const strays = only === undefined ? Runner.strays(folder, outcomes) : []
  for (const file of strays) print(`UNREAD ${file}`)
  const { holds, text } = Runner.verdict(outcomes, strays)
  print(`${engine}: ${text}`)
  return holds
})
process.exitCode = (await Effect.runPromise(Effect.provide(program, layer))) ? 0 : 1
