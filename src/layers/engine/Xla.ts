/** Runs steps on XLA in a worker thread, through a plugin of PJRT. */
import { Effect } from "effect"
import { serialize } from "node:v8"
import type { Program } from "../../compiler/programs/Program.ts"
import * as XlaProgram from "../../compiler/programs/XlaProgram.ts"
import type { TrainStep } from "../../shapes/Step.ts"
import * as PluginFile from "../pjrt/PluginFile.ts"
import * as Check from "./Check.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import * as Thread from "./Thread.ts"
import type { Options } from "./XlaWorker.ts"

/** Options of `layerXla`. */
export interface XlaOptions {
  /** The kind of devices; default `cpu`. */
  readonly platform?: PluginFile.Platform
  /** The file of a plugin of PJRT. By default it is the one that `patchword setup xla` installs for the platform. */
  readonly plugin?: string
  /** The share of a GPU's memory that XLA may take; default 0.75, by XLA. It takes memory as it needs it. */
  readonly memoryFraction?: number
}

const program = ({ result, ...compiled }: XlaProgram.XlaProgram, updates: Program["updates"]): Program => ({
  bytes: new Uint8Array(serialize(compiled)),
  result,
  updates,
  adamw: []
})

const trainStep = <S, B, M>(step: TrainStep<S, B, M>): Program => {
  const compiled = XlaProgram.trainStep(step)
  // A step takes the memory of the whole state. If it fails then, the state is lost.
  return program(
    compiled,
    compiled.state.map(({ name }) => ({ input: name, output: name.replace(/^state\./, "next."), inPlace: true }))
  )
}

/** Makes an engine on its own worker thread. */
export const make = Effect.fnUntraced(function*(options: XlaOptions) {
  const { memoryFraction, platform = "cpu", plugin } = options
  const file = plugin ?? (yield* PluginFile.cached(platform))
  const given: Options = {
    file,
    options: {
      ...(platform === "cpu" ? {} : { preallocate: false }),
      ...(memoryFraction === undefined ? {} : { memory_fraction: memoryFraction })
    }
  }
  const call = yield* Thread.start(Thread.file("XlaWorker"), given)
  const about = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason }) =>
      new EngineError({
        program: "start",
        reason: new ProviderUnavailable({
          provider: `xla ${platform}`,
          detail: reason.message,
          remedy: `run "patchword setup xla --platform ${platform}", or name the file of a plugin in the option plugin`
        })
      })
    )
  )
  const service = CompiledEngine.make(call, {
    name: `xla ${about.version} fp32`,
    about: { ...about, engine: `xla ${platform}`, precision: "fp32" },
    trainStep,
    inference: (inference) => program(XlaProgram.inference(inference), [])
  })
  return { ...service, load: Check.noForeignModels }
})
