/** Recorded steps on TensorFlow's library in a worker thread. */
import { Effect } from "effect"
import { serialize } from "node:v8"
import * as Tape from "../../compiler/trace/Tape.ts"
import * as Check from "./Check.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, PrecisionUnavailable, ProviderUnavailable } from "./EngineError.ts"
import { roundsToBf16 } from "./Processor.ts"
import * as Thread from "./Thread.ts"

/** How `layerTensorFlow` runs steps. */
export interface TensorFlowOptions {
  /** The package with TensorFlow's library; default `tfjs-node-gpu` where it is installed, else `tfjs-node`. */
  readonly package?: "tfjs-node-gpu" | "tfjs-node"
  /**
   * What oneDNN, the library of TensorFlow's kernels on a processor, may round the factors of a matrix product to; all
   * else is fp32 always. Default `fp32`. `bf16` needs Linux and a processor with tiles for it (AMX), or Arm's instructions;
   * AVX-512 BF16 alone is not enough. TensorFlow takes one precision for all engines of a process.
   */
  readonly precision?: "fp32" | "bf16"
}

const VERSION = "4.22.0"

const program = ({ result, tape, updates }: Tape.Recorded): CompiledEngine.Program => ({
  bytes: new Uint8Array(serialize(tape)),
  result,
  updates,
  adamw: []
})

type Precision = NonNullable<TensorFlowOptions["precision"]>

// TensorFlow asks for its precision with the first product, once for all engines of a process.
let settled: Precision | undefined

const refuse = (precision: Precision, detail: string, remedy = "choose \"fp32\"") =>
  Effect.fail(new EngineError({ program: "start", reason: new PrecisionUnavailable({ precision, detail, remedy }) }))

const settle = (precision: Precision) =>
  Effect.suspend(() => {
    if (precision === "bf16" && !roundsToBf16()) {
      return refuse(precision, "on this processor TensorFlow would compute in fp32 all the same")
    }
    settled ??= precision
    if (settled === precision) return Effect.void
    const detail = `TensorFlow computes in ${settled} in this process already`
    return refuse(precision, detail, "use a process of its own for each")
  })

/** An engine on a worker thread of its own. */
export const make = Effect.fnUntraced(function*(options: TensorFlowOptions) {
  const { package: chosen, precision = "fp32" } = options
  yield* settle(precision)
  const packages = (chosen === undefined ? ["tfjs-node-gpu", "tfjs-node"] : [chosen]).map((name) =>
    `@tensorflow/${name}`
  )
  const call = yield* Thread.start(Thread.file("TensorFlowWorker"), { packages, precision })
  const remedy = `install it with "npm install ${packages[0]}@${VERSION}", or in a checkout of patchword with ` +
    `"npm run setup:tensorflow"`
  const about = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason }) =>
      new EngineError({
        program: "start",
        reason: new ProviderUnavailable({ provider: "tensorflow", detail: reason.message, remedy })
      })
    )
  )
  if (!about.precisions.includes(precision)) {
    return yield* refuse(precision, "TensorFlow computes in fp32 here all the same")
  }
  const service = CompiledEngine.make(call, {
    name: `tensorflow ${about.version} ${precision}`,
    about: { ...about, engine: "tensorflow", precision },
    trainStep: (step) => program(Tape.trainStep(step)),
    inference: (inference) => program(Tape.inference(inference))
  })
  return { ...service, load: Check.noForeignModels }
})
