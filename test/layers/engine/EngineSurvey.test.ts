import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Logger, Runtime, Schema } from "effect"
import { trained } from "../../../src/laws/Engine.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as EngineSurvey from "../../../src/layers/engine/EngineSurvey.ts"
import { roundsToBf16 } from "../../../src/layers/machine/Processor.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { reference } from "./engines.ts"

const available = (name: string, gigaflops: number, deviation: number) =>
  new EngineSurvey.Available({
    name,
    precision: "fp32",
    version: "1",
    threads: 1,
    precisions: ["fp32"],
    gigaflops,
    deviation
  })

const absent = new EngineSurvey.Unavailable({
  name: "absent",
  error: new Engine.EngineError({
    program: "start",
    reason: new Engine.ProviderUnavailable({ provider: "absent", detail: "no such library", remedy: "install it" })
  })
})

describe("the choice of an engine", () => {
  const entries = [available("slow", 10, 1e-7), absent, available("fast", 90, 9e-5), available("coarse", 400, 2e-4)]

  it("is the fastest that is exact enough, and says why not the others", () => {
    const { chosen, why } = EngineSurvey.choose(entries)
    assert.strictEqual(chosen, entries[2])
    assert.match(why, /^fast is the fastest engine that deviates from the reference by at most 0\.0001: 90\.0 Gflop/)
    assert.match(why, /slow is slower: 10\.0 Gflop\/s, deviation 1e-7/)
    assert.match(why, /coarse is not exact enough: 400 Gflop\/s, deviation 2e-4/)
    assert.match(why, /absent does not run: the provider "absent" cannot be used \(no such library\); install it/)
  })

  it("follows the bound it is given", () => {
    assert.strictEqual(EngineSurvey.choose(entries, 1e-6).chosen, entries[0])
    assert.strictEqual(EngineSurvey.choose(entries, 1e-3).chosen, entries[3])
    const { chosen, why } = EngineSurvey.choose(entries, 1e-9)
    assert.isUndefined(chosen)
    assert.match(why, /^no engine deviates from the reference by at most 1e-9\./)
  })
})

describe("the catalogue", () => {
  it.live("measures what runs here, and says why the rest does not", () =>
    Effect.gen(function*() {
      const names = ["onnx-cpu", "onnx-coreml", "openvino-bf16", "tensorflow-bf16", "reference"]
      const entries = yield* EngineSurvey.survey({ names, seconds: 0.01 })
      assert.deepStrictEqual(entries.map(({ name }) => name), names)
      const Entries = Schema.Array(EngineSurvey.Entry)
      const json = JSON.stringify(Schema.encodeSync(Schema.toCodecJson(Entries))(entries))
      assert.deepStrictEqual(Schema.decodeSync(Schema.toCodecJson(Entries))(JSON.parse(json)), entries)
      const [cpu, coreml, ...rest] = entries
      const reference = rest.pop()
      assert.isTrue(cpu?._tag === "Available" && reference?._tag === "Available")
      if (cpu?._tag === "Available" && reference?._tag === "Available") {
        assert.isAbove(cpu.deviation, 0)
        assert.isBelow(cpu.deviation, EngineSurvey.EXACT)
        assert.strictEqual(reference.deviation, 0)
        assert.isAbove(cpu.gigaflops, reference.gigaflops)
        assert.match(cpu.version, /^\d+\.\d+/)
        assert.isAtLeast(cpu.threads, 1)
      }
      if (process.platform === "linux") {
        assert.strictEqual(coreml?._tag === "Unavailable" && coreml.error.reason._tag, "ProviderUnavailable")
      }
      for (const entry of rest) {
        if (entry._tag === "Available") assert.isAbove(entry.deviation, EngineSurvey.EXACT)
        else {
          assert.include(["PrecisionUnavailable", "ProviderUnavailable"], entry.error.reason._tag)
          assert.isTrue(
            entry.name !== "tensorflow-bf16" || !roundsToBf16() || entry.error.message.includes("install")
          )
        }
      }
    }), 180_000)
})

describe("an engine", () => {
  it.live("is measured at the sizes of any network", () =>
    Effect.gen(function*() {
      const like = { imageSize: 42, patchSize: 6, width: 24, heads: 3, hidden: 40 }
      const [entry] = yield* EngineSurvey.survey({ names: ["onnx-cpu"], seconds: 0.01, like })
      assert.isTrue(entry?._tag === "Available" && entry.gigaflops > 0)
    }))
})

describe("XLA that is not set up", () => {
  it.effect("is told with the command that fetches it", () =>
    Effect.gen(function*() {
      const entries = yield* EngineSurvey.survey({ names: ["xla-cpu", "xla-cuda"] })
      for (const [place, platform] of ["cpu", "cuda"].entries()) {
        const entry = entries[place]!
        assert.strictEqual(entry.name, `xla-${platform}`)
        if (entry._tag !== "Unavailable") return assert.fail("it is measured")
        assert.include(entry.error.message, `the provider "xla ${platform}" cannot be used (there is no plugin /none/`)
        assert.include(entry.error.message, `run "patchword setup xla --platform ${platform}"`)
      }
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: "/none" })))))
})

describe("the engine that is chosen here", () => {
  it.live("computes, and says in its log and of itself why it was chosen", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      const auto = Engine.layerAuto({ names: ["onnx-cpu", "onnx-coreml"], seconds: 0.01 })
      const { about, name, steps } = yield* Effect.gen(function*() {
        const { about, name } = yield* Engine.Engine
        return { about, name, steps: yield* trained }
      }).pipe(Effect.provide(Layer.provide(Layer.fresh(auto), logger)))
      assert.match(name, /^onnx cpu, \d+ thread/)
      assert.match(about.chosen!, /^onnx-cpu is the fastest engine that deviates/)
      assert.include(about.chosen, "onnx-coreml")
      assert.deepStrictEqual(lines, [about.chosen])
      const expected = yield* Effect.provide(trained, reference.layer)
      steps.metrics.forEach(({ loss }, i) =>
        assert.approximately(HostTensor.item(loss), HostTensor.item(expected.metrics[i]!.loss), 1e-5)
      )
    }), 180_000)

  it.live("is none when none is exact enough, and it says why of each", () =>
    Effect.gen(function*() {
      const auto = Engine.layerAuto({ names: ["onnx-cpu", "onnx-coreml"], seconds: 0.01, exact: 1e-12 })
      const error = yield* Effect.flip(Effect.provide(Engine.Engine.useSync(() => {}), Layer.fresh(auto)))
      assert.strictEqual(error.reason._tag, "ProviderUnavailable")
      assert.strictEqual(error[Runtime.errorExitCode], 69)
      assert.match(error.message, /by at most 1e-12\. onnx-cpu is not exact enough: .*\. onnx-coreml /)
    }), 180_000)
})
