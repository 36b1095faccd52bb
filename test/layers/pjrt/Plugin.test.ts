import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import koffi from "koffi"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Client from "../../../src/layers/pjrt/Client.ts"
import * as Plugin from "../../../src/layers/pjrt/Plugin.ts"
import { onCpu } from "./cpuPlugin.ts"

describe("a plugin that does not serve", () => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-pjrt-"))

  it.effect.each([["missing.so", undefined], ["text.so", "no library"]] as const)(
    "is named with the reason and a remedy: %s",
    ([name, content]) =>
      Effect.gen(function*() {
        const path = join(folder, name)
        if (content !== undefined) writeFileSync(path, content)
        const error = yield* Effect.flip(Plugin.load(path))
        assert.strictEqual(error._tag, "PluginUnavailable")
        assert.isTrue(error.message.startsWith(`the PJRT plugin ${path} cannot be used: `))
        assert.include(error.message, "run \"patchword setup xla\", or name another plugin")
        rmSync(path, { force: true })
      })
  )

  const table = (minor: number, functions: number) => {
    const words = new BigInt64Array(5 + functions).fill(1n)
    words[0] = BigInt(words.byteLength)
    new Int32Array(words.buffer)[8] = 0
    new Int32Array(words.buffer)[9] = minor
    return words
  }

  it("may be too old", () => {
    const words = table(50, 120)
    assert.throws(
      () => Plugin.fromTable("old.so", koffi.address(words)),
      "the PJRT plugin old.so cannot be used: it has PJRT 0.50, but 0.81 or a later 0 is needed; run"
    )
    assert.strictEqual(words.length, 125)
  })

  it("may lack functions, which are named", () => {
    const words = table(90, 71)
    words[5 + 20] = 0n
    assert.throws(
      () => Plugin.fromTable("short.so", koffi.address(words)),
      "it lacks PJRT_Client_Compile, PJRT_Executable_OutputElementTypes, PJRT_Executable_OutputDimensions; run"
    )
    assert.strictEqual(words.length, 76)
  })

  it("may lack functions that are optional", () => {
    const words = table(90, 92)
    const plugin = Plugin.fromTable("short.so", koffi.address(words))
    assert.strictEqual(plugin.version, "0.90")
    const told = plugin.ask("PJRT_Executable_GetCompiledMemoryStats", {})
    assert.include(String(Result.getFailure(told)), "PJRT_Executable_GetCompiledMemoryStats: the plugin lacks it")
    assert.strictEqual(words.length, 97)
  })

  it.effect("may be a library without PJRT", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Plugin.load(process.platform === "linux" ? "libc.so.6" : "libSystem.B.dylib"))
      assert.include(error.message, "GetPjrtApi")
    }))
})

onCpu("a client", ({ file, isOldest, opened }) => {
  it.effect("tells its version, platform and devices", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      assert.match(client.plugin.version, /^0\.\d+$/)
      assert.strictEqual(client.plugin.file, file)
      assert.strictEqual(client.platform, "cpu")
      assert.deepStrictEqual(Array.from(new Set(client.devices.map(({ kind }) => kind))), ["cpu"])
      assert.isUndefined(Client.memory(client, client.devices[0]!))
    }))

  it("lets its process end", () => {
    const program = fileURLToPath(new URL("leavingPlugin.ts", import.meta.url))
    const { signal, status } = spawnSync(process.execPath, [program, file], { encoding: "utf8" })
    assert.deepInclude({ signal, status }, { signal: null, status: 0 })
  })

  it.effect("takes options", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* opened({ cpu_device_count: 3n })).devices.length, 3)
    }))

  it.effect.skipIf(isOldest)(
    "refuses options that it does not know, with its own message and code",
    () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(opened({ nothing: "text" }))
        assert.deepInclude(error, { _tag: "PjrtError", call: "PJRT_Client_Create", code: "INVALID_ARGUMENT" })
        assert.include(error.message, "Unexpected option name passed to PJRT_Client_Create: nothing (INVALID_ARGUMENT)")
      })
  )

  it.effect.skipIf(isOldest)("tells apart what an option is", () =>
    Effect.gen(function*() {
      for (const given of [true, 0.5, "3"]) {
        const error = yield* Effect.flip(opened({ cpu_device_count: given }))
        assert.include(error, { _tag: "PjrtError", code: "INVALID_ARGUMENT" })
      }
    }))
})
