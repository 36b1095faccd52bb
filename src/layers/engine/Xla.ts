/** Runs steps on XLA in a worker thread, through a plugin of PJRT. */
import { Effect } from "effect"
import { serialize } from "node:v8"
import type { Program } from "../../compiler/programs/Program.ts"
import * as XlaProgram from "../../compiler/programs/XlaProgram.ts"
import type { TrainStep } from "../../shapes/Step.ts"
import * as PluginFile from "../pjrt/PluginFile.ts"
import * as Check from "./Check.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, PrecisionUnavailable, ProviderUnavailable } from "./EngineError.ts"
import * as Thread from "./Thread.ts"
import type { Options } from "./XlaWorker.ts"

/** Options of `layerXla`. */
export interface XlaOptions {
  /** The kind of devices; default `cpu`. */
  readonly platform?: PluginFile.Platform
  /** The file of a plugin of PJRT. By default it is the one that `patchword setup xla` installs for the platform. */
  readonly plugin?: string
  /**
   * Precision of matrix products; default `fp32`, also on a GPU. `tf32` is for NVIDIA's GPUs since Ampere. In `bf16` the values
   * between products are bf16, too, by the rules of PyTorch's autocast (`Autocast`). The state, its update, norms, losses and
   * lookups of codes are always fp32.
   */
  readonly precision?: "fp32" | "tf32" | "bf16"
  /** The share of a GPU's memory that XLA may take; default 0.75, by XLA. It takes memory as it needs it. */
  readonly memoryFraction?: number
}

const program = ({ result, ...compiled }: XlaProgram.XlaProgram, updates: Program["updates"]): Program => ({
  bytes: new Uint8Array(serialize(compiled)),
  result,
  updates,
  adamw: []
})

const trainStep = (options: XlaProgram.Options) => <S, B, M>(step: TrainStep<S, B, M>): Program => {
  const compiled = XlaProgram.trainStep(step, options)
  // A step takes the memory of the whole state. If it fails then, the state is lost.
  return program(
    compiled,
    compiled.state.map(({ name }) => ({ input: name, output: name.replace(/^state\./, "next."), inPlace: true }))
  )
}

/** Makes an engine on its own worker thread. */
export const make = Effect.fnUntraced(function*(options: XlaOptions) {
  const { memoryFraction, platform = "cpu", plugin, precision = "fp32" } = options
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
  if (!about.precisions.includes(precision)) {
    const detail = `XLA has no ${precision} on ${platform} here; tf32 is for NVIDIA's GPUs since Ampere`
    return yield* new EngineError({
      program: "start",
      reason: new PrecisionUnavailable({ precision, detail, remedy: "choose \"fp32\" or \"bf16\"" })
    })
  }
  const service = CompiledEngine.make(call, {
    name: `xla ${about.version} ${precision}`,
    about: { ...about, engine: `xla ${platform}`, precision },
    trainStep: trainStep({ precision }),
    inference: (inference) => program(XlaProgram.inference(inference, { precision }), [])
  })
  return { ...service, load: Check.noForeignModels }
})
