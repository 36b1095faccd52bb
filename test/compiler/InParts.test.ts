import { assert, describe, it } from "@effect/vitest"
import * as InParts from "../../src/compiler/graph/InParts.ts"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as TensorFlowProgram from "../../src/compiler/programs/TensorFlowProgram.ts"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import type { TrainStep } from "../../src/shapes/Step.ts"
import { casesOf } from "../nn/steps.ts"

type Step = TrainStep<unknown, unknown, unknown>

const place = { rank: 0, size: 2 }

const { pretrain, tokenizer } = casesOf({ image: 16, batch: 2 })
const steps = [tokenizer.step, pretrain.step] as unknown as readonly [Step, Step]

const compilers = {
  ONNX: [OnnxProgram.trainStep, OnnxProgram.compiling],
  TensorFlow: [TensorFlowProgram.trainStep, TensorFlowProgram.compiling],
  XLA: [XlaProgram.trainStep, XlaProgram.compiling],
  "ONNX, on a rank": [
    (step: Step) => OnnxProgram.trainStep(step, { place }),
    (step: Step) => OnnxProgram.compiling(step, { place })
  ],
  "XLA, on a rank": [
    (step: Step) => XlaProgram.trainStep(step, { place }),
    (step: Step) => XlaProgram.compiling(step, { place })
  ]
} as const

describe("steps that are compiled in parts", () => {
  it.each(Object.entries(compilers))(
    "are the same, also where others are compiled between the parts: %s",
    (_, pair) => {
      const [whole, compiling] = pair as readonly [(step: Step) => object, (step: Step) => InParts.InParts<object>]
      const running = steps.map((step) => ({
        parts: compiling(step),
        count: 0,
        found: undefined as object | undefined
      }))
      while (running.some(({ found }) => found === undefined)) {
        for (const one of running) {
          if (one.found !== undefined) continue
          const { done, value } = one.parts.next()
          one.count++
          if (done === true) one.found = value
        }
      }
      assert.deepStrictEqual(running.map(({ found }) => found), steps.map(whole))
      for (const { count } of running) assert.isAtLeast(count, 4)
    }
  )

  it("are mapped after their last part", () => {
    const half = InParts.map(
      (function*() {
        yield
        return 4
      })(),
      (result) => result / 2
    )
    assert.deepStrictEqual([half.next().done, half.next().value], [false, 2])
  })
})
