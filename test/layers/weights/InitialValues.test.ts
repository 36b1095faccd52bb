import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as InitialValues from "../../../src/layers/weights/InitialValues.ts"
import * as Parameter from "../../../src/nn/blocks/Parameter.ts"
import { ended, endsInterrupted, watched } from "../machine/workers.ts"

const weight = Parameter.normal([2048, 1024], Parameter.pretraining(0.02))
const spec = {
  blocks: [{ weight, bias: Parameter.zeros([3]) }, { weight: Parameter.byFanIn([2048, 1024], 1024, 0.5) }],
  "head.weight": weight,
  absent: undefined,
  last: [weight, Parameter.byFanIn([2048, 1024], 4)]
}

describe("initial values", () => {
  it.live("are the same in threads, which end", () =>
    Effect.gen(function*() {
      const { answering, workers } = yield* watched
      assert.deepStrictEqual(yield* InitialValues.draw(spec, 7), Parameter.initialise(spec, 7))
      ended(answering)
      assert.strictEqual(answering.size, workers.size)
    }))

  it.live("end their threads when they are interrupted", () => endsInterrupted(InitialValues.draw(spec, 7)))

  it.live("of few parameters are drawn without threads", () =>
    Effect.gen(function*() {
      const { workers } = yield* watched
      const few = { weight: Parameter.normal([8, 8], Parameter.finetuning) }
      assert.deepStrictEqual(yield* InitialValues.draw(few, 7), Parameter.initialise(few, 7))
      assert.strictEqual(workers.size, 0)
    }))
})
