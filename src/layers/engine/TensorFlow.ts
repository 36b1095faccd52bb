/** Runs steps as TensorFlow graphs in a worker thread. */
import { Effect } from "effect"
import { serialize } from "node:v8"
import * as InParts from "../../compiler/graph/InParts.ts"
import type { Program } from "../../compiler/programs/Program.ts"
import * as TensorFlowProgram from "../../compiler/programs/TensorFlowProgram.ts"
import { roundsToBf16 } from "../machine/Processor.ts"
import * as Check from "./Check.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, PrecisionUnavailable, ProviderUnavailable } from "./EngineError.ts"
import * as TensorFloat32 from "./TensorFloat32.ts"
import * as Thread from "./Thread.ts"

/** Options of `layerTensorFlow`. */
export interface TensorFlowOptions {
  /** Package with TensorFlow's library. Default: `tfjs-node-gpu` if it is installed, else `tfjs-node`. */
  readonly package?: "tfjs-node-gpu" | "tfjs-node"
  /**
   * Precision of the factors of matrix products; default `fp32`, also on a GPU. All else is always fp32. `tf32` is for NVIDIA's
   * GPUs since Ampere. `bf16` is for processors: it lets oneDNN, the library of TensorFlow's kernels, round the factors. It
   * needs Linux and AMX or Arm's bf16 instructions; AVX-512 BF16 alone is not enough. The engine measures that it computes so.
   * All engines of a process have the same precision.
   */
  readonly precision?: "fp32" | "tf32" | "bf16"
  /**
   * Has XLA compile each step as one program; default false. The first step then takes much longer: on two cores 40 s to
   * 230 s for the training steps of `tiny`. XLA refuses no index out of range, it takes the nearest row.
   */
  readonly xla?: boolean
}

const program = ({ graph, result }: TensorFlowProgram.TensorFlowProgram): Program => ({
  bytes: new Uint8Array(serialize(graph)),
  result,
  updates: [],
  adamw: []
})

type Precision = NonNullable<TensorFlowOptions["precision"]>

// TensorFlow reads its precision at the first product, once for all engines of a process.
let settled: Precision | undefined

const refuse = (precision: Precision, detail: string, remedy = "choose \"fp32\"") =>
  Effect.fail(new EngineError({ program: "start", reason: new PrecisionUnavailable({ precision, detail, remedy }) }))

/** What a machine lacks for a precision. */
const LACKING = {
  tf32: "computes only in fp32 here, because there is no NVIDIA GPU since Ampere",
  bf16: "computes only in fp32 on this processor"
} as const

/** Settles the precision of the process. Returns an effect that takes it back, for a library that does not load. */
const settle = (precision: Precision) =>
  Effect.suspend(() => {
    const before = settled
    settled ??= precision
    if (settled === precision) return Effect.succeed(Effect.sync(() => void (settled = before)))
    const detail = `this process already uses TensorFlow with ${settled}`
    return refuse(precision, detail, "use a separate process for each precision")
  })

/** Makes an engine on its own worker thread. */
export const make = Effect.fnUntraced(function*(options: TensorFlowOptions) {
  const { package: chosen, precision = "fp32", xla = false } = options
  const offered = { fp32: true, tf32: TensorFloat32.isOffered(), bf16: roundsToBf16() }
  // On another device the library loads, too. Whether it is installed comes first.
  const usable = offered[precision] ? precision : "fp32"
  const unsettle = yield* settle(usable)
  const packages = (chosen === undefined ? ["tfjs-node-gpu", "tfjs-node"] : [chosen]).map((name) =>
    `@tensorflow/${name}`
  )
  const call = yield* Thread.start(Thread.file("TensorFlowWorker"), { packages, precision: usable })
  const remedy = `run "patchword setup tensorflow${chosen === undefined ? "" : ` --package ${chosen}`}"`
  const about = yield* call("start", "start", undefined).pipe(
    Effect.tapError(() => unsettle),
    Effect.mapError(({ reason }) =>
      new EngineError({
        program: "start",
        reason: new ProviderUnavailable({ provider: "tensorflow", detail: reason.finding, remedy })
      })
    )
  )
  if (!about.precisions.includes(precision)) {
    if (precision === "fp32") {
      const remedy = "set NVIDIA_TF32_OVERRIDE=0 before the program starts, or choose \"tf32\""
      return yield* refuse(precision, "TensorFlow rounds products to tf32 on this GPU", remedy)
    }
    const why = usable === precision ? "still computes in fp32 on this device" : LACKING[precision]
    return yield* refuse(precision, `TensorFlow ${why}`)
  }
  // The numbers differ in their last digits.
  const engine = xla ? "tensorflow xla" : "tensorflow"
  const service = CompiledEngine.make(call, {
    name: `${engine} ${about.version} ${precision}`,
    about: { ...about, engine, precision },
    trainStep: (step) => InParts.map(TensorFlowProgram.compiling(step, { xla }), program),
    inference: (inference) => InParts.map(TensorFlowProgram.compilingInference(inference, { xla }), program)
  })
  return { ...service, load: Check.noForeignModels }
})
