import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { vi } from "vitest"
import * as OpenVino from "../../../src/layers/engine/OpenVino.ts"
import * as Files from "../../../src/layers/files/Files.ts"
import * as OpenVinoSetup from "../../../src/layers/setup/OpenVinoSetup.ts"

const inCaches = (folder: string) => {
  const variables = { XDG_CACHE_HOME: folder, LOCALAPPDATA: folder }
  return Effect.provide([Files.layerNode, ConfigProvider.layer(ConfigProvider.fromUnknown(variables))])
}

describe.skipIf(process.platform === "darwin")("the setup of OpenVINO", () => {
  const caches = mkdtempSync(join(tmpdir(), "patchword-caches-"))

  it.effect("says what to install where there is no Python, and leaves nothing", () =>
    Effect.gen(function*() {
      vi.stubEnv("PATH", caches)
      const said: Array<string> = []
      const report = (line: string) => Effect.sync(() => said.push(line)).pipe(Effect.asVoid)
      const error = yield* Effect.flip(OpenVinoSetup.install(report))
      vi.unstubAllEnvs()
      assert.strictEqual(error._tag, "SetupError")
      assert.match(error.message, /^wheel: .*python3.*; install Python 3 with pip, and let it reach PyPI$/)
      assert.match(said.join(), new RegExp(`^fetching openvino ${OpenVino.VERSION} from PyPI \\(\\d+ MB\\)$`))
      assert.deepStrictEqual(readdirSync(caches), [])
    }).pipe(inCaches(caches)))

  it.effect("does nothing where it is there", () =>
    Effect.gen(function*() {
      const folder = yield* OpenVino.cached
      mkdirSync(folder, { recursive: true })
      const found = yield* OpenVinoSetup.install(() => Effect.die("nothing is to be fetched"))
      assert.deepStrictEqual(found, { library: "openvino", version: OpenVino.VERSION, folder, fetched: false })
      rmSync(caches, { recursive: true })
    }).pipe(inCaches(caches)))
})
