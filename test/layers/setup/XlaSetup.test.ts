import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { vi } from "vitest"
import * as Files from "../../../src/layers/files/Files.ts"
import * as PluginFile from "../../../src/layers/pjrt/PluginFile.ts"
import * as XlaSetup from "../../../src/layers/setup/XlaSetup.ts"

const inCaches = (folder: string) =>
  Effect.provide([Files.layerNode, ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: folder }))])

const reporter = () => {
  const said: Array<string> = []
  return { said, report: (line: string) => Effect.sync(() => void said.push(line)) }
}

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("the setup of XLA", () => {
  const caches = mkdtempSync(join(tmpdir(), "patchword-caches-"))

  it.effect.each(["cpu", "cuda"] as const)("says what to install where there is no Python, and leaves nothing: %s", (
    platform
  ) =>
    Effect.gen(function*() {
      vi.stubEnv("PATH", caches)
      const { report, said } = reporter()
      const error = yield* Effect.flip(XlaSetup.install(platform, report))
      vi.unstubAllEnvs()
      assert.strictEqual(error._tag, "SetupError")
      assert.match(error.message, /^wheel: .*python3.*; install Python 3 with pip, and let it reach PyPI$/)
      const { megabytes, version, wheel } = PluginFile.PLUGINS[platform]
      assert.deepStrictEqual(said, [`fetching ${wheel} ${version} from PyPI (${megabytes} MB)`])
      assert.isFalse(existsSync(join(caches, "patchword")))
    }).pipe(inCaches(caches)))

  it.effect("does nothing where it is there, and says what CUDA needs besides", () =>
    Effect.gen(function*() {
      for (const platform of ["cpu", "cuda"] as const) {
        const folder = yield* PluginFile.folder(platform)
        mkdirSync(folder, { recursive: true })
        const { report, said } = reporter()
        const found = yield* XlaSetup.install(platform, report)
        const { version } = PluginFile.PLUGINS[platform]
        assert.deepStrictEqual(found, { library: `xla for ${platform}`, version, folder, fetched: false })
        assert.strictEqual(said.length, platform === "cpu" ? 0 : 1)
        if (platform === "cuda") assert.include(said[0]!, `--target ${folder} nvidia-cublas`)
      }
      rmSync(caches, { recursive: true })
    }).pipe(inCaches(caches)))
})
