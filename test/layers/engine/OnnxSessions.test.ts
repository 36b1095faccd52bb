import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import { InferenceSession, Tensor } from "onnxruntime-node"
import * as Onnx from "../../../src/layers/engine/Onnx.ts"
import * as Sessions from "../../../src/layers/engine/OnnxSessions.ts"

const CUDA: InferenceSession.SessionOptions = { executionProviders: ["cuda"], logSeverityLevel: 4 }

const started = async (runs: (session: InferenceSession) => InferenceSession) => {
  const given: Array<InferenceSession.SessionOptions> = []
  const handlers = Sessions.handlers({
    started: { version: "1", threads: 1, precisions: ["fp32"] },
    Tensor,
    create: async (model, options) => {
      given.push(options)
      return runs(await InferenceSession.create(model, { ...options, executionProviders: ["cpu"] }))
    },
    state: "bound",
    mayRound: true
  }, CUDA)
  const [{ precisions }] = await handlers.start(undefined)
  return { given, precisions }
}

const rounding = (session: InferenceSession): InferenceSession =>
  Object.assign(Object.create(session) as InferenceSession, {
    release: () => session.release(),
    run: async (feeds: InferenceSession.FeedsType) => {
      const found = await session.run(feeds)
      return "c" in found ? { c: new Tensor("float32", Float32Array.of(1), [1]) } : found
    }
  })

describe("ONNX Runtime on a provider that may round products", () => {
  it("offers fp32 where a product is exact, and asks for the provider by its name alone", async () => {
    const { given, precisions } = await started((session) => session)
    assert.deepStrictEqual(precisions, ["fp32"])
    assert.deepStrictEqual(given, [CUDA, CUDA])
  })

  it("does not offer fp32 where a product is rounded", async () => {
    assert.deepStrictEqual((await started(rounding)).precisions, [])
  })

  it.effect("is refused then", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Onnx.make({}, new URL("./roundingWorker.ts", import.meta.url)))
      assert.strictEqual(error.reason._tag, "PrecisionUnavailable")
      assert.match(
        error.message,
        /ONNX Runtime rounds products to tf32 on this GPU\); set NVIDIA_TF32_OVERRIDE=0 before/
      )
      assert.strictEqual(error[Runtime.errorExitCode], 69)
    }))
})
