/** Recorded steps on TensorFlow's library in a worker thread. */
import { Effect } from "effect"
import { serialize } from "node:v8"
import * as Tape from "../../compiler/Tape.ts"
import type { TensorFlowOptions } from "../Engine.ts"
import * as Check from "./check.ts"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import * as Thread from "./thread.ts"

const VERSION = "4.22.0"

const program = ({ result, tape, updates }: Tape.Recorded): Thread.Program => ({
  bytes: new Uint8Array(serialize(tape)),
  result,
  updates
})

/** An engine on a worker thread of its own. */
export const make = Effect.fnUntraced(function*({ package: chosen }: TensorFlowOptions) {
  const packages = (chosen === undefined ? ["tfjs-node-gpu", "tfjs-node"] : [chosen]).map((name) =>
    `@tensorflow/${name}`
  )
  const call = yield* Thread.start(Thread.file("tensorflowWorker"), { packages })
  const remedy = `install it with "npm install ${packages[0]}@${VERSION}", or in a checkout of patchword with ` +
    `"npm run setup:tensorflow"`
  const started = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason }) =>
      new EngineError({
        program: "start",
        reason: new ProviderUnavailable({ provider: "tensorflow", detail: reason.message, remedy })
      })
    )
  )
  const service = Thread.engine(call, {
    name: `tensorflow ${started.providers.join()}`,
    trainStep: (step) => program(Tape.trainStep(step)),
    inference: (inference) => program(Tape.inference(inference))
  })
  return { ...service, load: Check.foreign }
})
