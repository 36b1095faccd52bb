import { assert, describe, it } from "@effect/vitest"
import * as EngineTable from "../../src/cli/terminal/EngineTable.ts"
import { EngineError, Failed, PrecisionUnavailable, ProviderUnavailable } from "../../src/layers/engine/EngineError.ts"
import * as EngineSurvey from "../../src/layers/engine/EngineSurvey.ts"

const unavailable = (name: string, reason: EngineError["reason"]) =>
  new EngineSurvey.Unavailable({ name, error: new EngineError({ program: "start", reason }) })

const remedy = "install the card's driver with Vulkan, or choose \"cpu\""
const entries = [
  unavailable("onnx-webgpu", new ProviderUnavailable({ provider: "webgpu", detail: "x".repeat(300), remedy })),
  unavailable("tensorflow-bf16", new PrecisionUnavailable({ precision: "bf16", detail: "all is fp32 here", remedy })),
  unavailable("onnx-web", new Failed({ detail: "y".repeat(300) })),
  new EngineSurvey.Available({
    name: "onnx-cpu",
    precision: "fp32",
    version: "1.30.0",
    threads: 2,
    precisions: ["fp32"],
    gigaflops: 34.81,
    deviation: 2e-6
  })
]

describe("the table of engines", () => {
  it("has first what runs here, then a few words about the others, in 100 columns", () => {
    const lines = EngineTable.lines(entries)
    assert.isTrue(lines.every((line) => line.length <= 100))
    assert.match(lines[1]!, /^onnx-cpu +1\.30\.0 +2 +fp32 +34\.8 +2e-6$/)
    assert.deepStrictEqual(lines.slice(2, 6), [
      "",
      "Not on this machine:",
      "onnx-webgpu      install the card's driver with Vulkan",
      "tensorflow-bf16  all is fp32 here"
    ])
    assert.match(lines[6]!, /^onnx-web .*y…$/)
  })

  it("keeps the whole reasons for whoever asks", () => {
    assert.deepStrictEqual(
      EngineTable.reasons(entries),
      entries.flatMap((entry) => entry._tag === "Unavailable" ? [`${entry.name}: ${entry.error.reason.message}`] : [])
    )
  })
})
