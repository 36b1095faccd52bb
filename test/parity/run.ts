/** `npm run parity -- FOLDER [--engine NAME] [--only NAME]`: compares ours with a folder of official numbers. */
import { Effect, type Layer, Result } from "effect"
import { parseArgs } from "node:util"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Runner from "./runner.ts"

const engines: Readonly<Record<string, Layer.Layer<Engine.Engine, Engine.EngineError>>> = {
  onnx: Engine.layerOnnx(),
  openvino: Engine.layerOpenVino(),
  xla: Engine.layerXla(),
  tensorflow: Engine.layerTensorFlow(),
  "onnx-web": Engine.layerOnnxWeb(),
  reference: Engine.layerReference
}

const leave = (code: number, message: string): never => {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}

const parsed = () => {
  try {
    const { positionals: [folder, ...more], values } = parseArgs({
      allowPositionals: true,
      options: { engine: { type: "string", default: "onnx" }, only: { type: "string" } }
    })
    return folder === undefined || more.length > 0 ? undefined : { folder, ...values }
  } catch {
    return undefined
  }
}

const choices = Object.keys(engines)
const { engine, folder, only } = parsed() ??
  leave(64, `npm run parity -- FOLDER [--engine ${choices.join("|")}] [--only NAME]`)
const layer = engines[engine] ?? leave(64, `there is no engine ${engine}: choose ${choices.join(", ")}`)
const found = Runner.names(folder).filter((name) => only === undefined || name === only)
if (found.length === 0) leave(66, `there are no fixtures in ${folder}`)

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
const result = await Effect.runPromise(Effect.result(Effect.provide(program, layer)))
process.exitCode = Result.isFailure(result) ? leave(69, result.failure.message) : result.success ? 0 : 1
