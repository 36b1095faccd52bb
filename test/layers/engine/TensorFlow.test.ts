import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Runtime } from "effect"
import koffi from "koffi"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as TensorFloat32 from "../../../src/layers/engine/TensorFloat32.ts"
import { present, tensorflow } from "./engines.ts"

const missing = (precision: "fp32" | "tf32" | "bf16") =>
  Engine.Engine.pipe(Effect.provide(Engine.layerTensorFlow({ package: "tfjs-node", precision })), Effect.flip)

const start = (precision: "fp32" | "tf32") =>
  Effect.provide(Engine.Engine.useSync(({ about }) => about), Layer.fresh(Engine.layerTensorFlow({ precision })))

const variable = (): string | null => koffi.load(null).func("str getenv(str name)")("NVIDIA_TF32_OVERRIDE")

describe("TensorFlow that is not installed", () => {
  it.live("says so in every precision, whatever was tried before, and how to install it", () =>
    Effect.gen(function*() {
      for (const precision of ["fp32", "bf16", "tf32", "fp32"] as const) {
        const { reason } = yield* missing(precision)
        assert.strictEqual(reason._tag, "ProviderUnavailable")
        assert.include(reason.message, "@tensorflow/tfjs-node is not installed")
        assert.match(reason.message, /; run "patchword setup tensorflow --package tfjs-node"$/)
      }
    }))
})

describe.skipIf(process.platform !== "linux" || TensorFloat32.isOffered())("tf32 without a GPU", () => {
  it.live.each(present([tensorflow]))("is refused by $name, and fp32 forbids it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(start("tf32"))
      assert.strictEqual(error.reason._tag, "PrecisionUnavailable")
      assert.strictEqual(error[Runtime.errorExitCode], 69)
      assert.match(error.message, /"tf32" cannot be used \(.* no NVIDIA GPU since Ampere\); choose "fp32"$/)
      const about = yield* start("fp32")
      assert.strictEqual(about.precision, "fp32")
      assert.notInclude(about.precisions, "tf32")
      assert.strictEqual(variable(), "0")
      TensorFloat32.setVariable(true)
      assert.isNull(variable())
      TensorFloat32.setVariable(false)
    }))

  it.live.each(present([tensorflow]))("is a switch of the library of $name", ({ layer }) =>
    Effect.gen(function*() {
      yield* Engine.Engine
      const isOn = koffi.load("libtensorflow_framework.so.2")
        .func("_ZN3tsl33tensor_float_32_execution_enabledEv", "bool", [])
      for (const allowed of [false, true]) {
        TensorFloat32.turnSwitch(allowed)
        assert.strictEqual(isOn(), allowed)
      }
    }).pipe(Effect.provide(Layer.fresh(layer))))
})

describe.skipIf(process.platform !== "linux")("a GPU's tf32", () => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-driver-"))

  const driver = (initialized: number, major: number): string => {
    const file = join(folder, `${initialized}-${major}.so`)
    writeFileSync(
      `${file}.c`,
      `int cuInit(unsigned flags) { return ${initialized}; }
       int cuDeviceGetAttribute(int *value, int attribute, int device) {
         *value = attribute == 75 && device == 0 ? ${major} : 99;
         return 0;
       }`
    )
    execFileSync("cc", ["-shared", "-fPIC", "-o", file, `${file}.c`])
    return file
  }

  it("is there since Ampere, and not without a driver or a device", () => {
    assert.isFalse(TensorFloat32.isOffered(join(folder, "none.so")))
    assert.isFalse(TensorFloat32.isOffered(driver(100, 9)))
    assert.deepStrictEqual([7, 8, 9].map((major) => TensorFloat32.isOffered(driver(0, major))), [false, true, true])
    rmSync(folder, { recursive: true })
  })
})
