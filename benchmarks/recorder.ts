/** An engine that computes nothing. It writes down the programs that it is given, and answers with zeros. */
import { Effect, Layer } from "effect"
import * as XlaProgram from "../src/compiler/programs/XlaProgram.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import type { HostOf } from "../src/shapes/Step.ts"
import * as Tree from "../src/shapes/Tree.ts"

/** A step or an inference: writes its program for XLA. */
export interface Recorded {
  readonly name: string
  readonly write: (options: XlaProgram.Options) => XlaProgram.XlaProgram
}

const zeros = <T>(spec: object): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, ({ dtype, shape }) => HostTensor.zeros([...shape], dtype as HostTensor.DType))

/** Makes the engine. It passes each program to `record` once. */
export const layer = (record: (recorded: Recorded) => void): Layer.Layer<Engine.Engine> => {
  const known = new Set<string>()
  const seen = ({ name, write }: Recorded): object => {
    const { result, text } = write({})
    if (!known.has(text)) record({ name, write })
    known.add(text)
    return result
  }
  return Layer.succeed(Engine.Engine, {
    name: "recorder",
    about: { engine: "recorder", version: "none", threads: 1, precision: "fp32", precisions: ["fp32"] },
    train: (step, initial, steps = 0) => {
      let taken = steps
      const result = seen({ name: step.name, write: (options) => XlaProgram.trainStep(step, options) })
      return Effect.succeed({
        ahead: 0,
        run: () => Effect.sync(() => (taken++, zeros(result))),
        snapshot: Effect.sync(() => ({ steps: taken, state: initial }))
      })
    },
    infer: (inference) => {
      const result = seen({ name: inference.name, write: (options) => XlaProgram.inference(inference, options) })
      return Effect.succeed({ run: () => Effect.succeed(zeros(result)) })
    },
    load: () => Effect.die("the recorder loads no models"),
    memory: Effect.succeed({ handles: 0, tensors: 0, bytes: 0 })
  })
}
