import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, vi } from "vitest"
import * as Files from "../../../src/layers/files/Files.ts"
import * as PluginFile from "../../../src/layers/pjrt/PluginFile.ts"
import * as XlaCuda from "../../../src/layers/setup/XlaCuda.ts"
import * as XlaSetup from "../../../src/layers/setup/XlaSetup.ts"

const PYTHON = `
case "$*" in
*ctypes*) exit 0 ;;
*nvidia.__path__*) cat "$FAKE/packages" 2>/dev/null ;;
*" install "*)
  while [ "$1" != --target ]; do shift; done; to=$2; shift 2; mkdir -p "$to"
  for file in "$@"; do
    name=$(basename "$file" -py3.whl); mkdir -p "$to/$name.dist-info" "$to/nvidia/cu13/lib"; touch "$to/nvidia/cu13/lib/of-$name"
  done ;;
*" download "*)
  name=$(sed 's/==.*//' requirements.txt); version=$(sed 's/.*==//;s/ .*//' requirements.txt)
  cat requirements.txt >> "$FAKE/fetched"
  [ "$(cat "$FAKE/broken" 2>/dev/null)" = "$name" ] && { echo "THESE PACKAGES DO NOT MATCH THE HASHES"; exit 1; }
  touch "$(echo "$name" | tr - _)-$version-py3.whl" ;;
esac`

const machine = () => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-xla-test-"))
  const programs = join(folder, "bin")
  mkdirSync(programs)
  for (const [name, script] of [["python3", PYTHON], ["nvidia-smi", "cat \"$FAKE/driver\""]] as const) {
    writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  vi.stubEnv("PATH", `${programs}:/usr/bin:/bin`)
  vi.stubEnv("FAKE", folder)
  const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
  const said: Array<string> = []
  return {
    at,
    said,
    home: (platform: PluginFile.Platform) =>
      at("caches/patchword", `xla-${platform}-${PluginFile.PLUGINS[platform].version}`),
    write: (name: string, text = "") => writeFileSync(at(name), text),
    fetched: () => existsSync(at("fetched")) ? readFileSync(at("fetched"), "utf8").trim().split("\n") : [],
    install: (options: XlaSetup.XlaSetupOptions) =>
      XlaSetup.install(options, (line) => Effect.sync(() => void said.push(line))).pipe(
        Effect.provide([
          Files.layerNode,
          ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: at("caches") }))
        ])
      ),
    done: () => rmSync(folder, { recursive: true })
  }
}

const marks = (folder: string) => readdirSync(folder).filter((name) => name.endsWith(".dist-info"))

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("the setup of XLA", () => {
  afterAll(() => void vi.unstubAllEnvs())

  it.live.each(["cpu", "cuda"] as const)("says what to install where there is no Python, and leaves nothing: %s", (
    platform
  ) =>
    Effect.gen(function*() {
      const here = machine()
      vi.stubEnv("PATH", here.at("caches"))
      const error = yield* Effect.flip(here.install({ platform }))
      assert.strictEqual(error._tag, "SetupError")
      assert.match(error.message, /^wheel: .*python3.*; install Python 3 with pip, and let it reach PyPI$/)
      const { megabytes, version, wheel } = PluginFile.PLUGINS[platform]
      assert.deepStrictEqual(here.said, [`fetching ${wheel} ${version} from PyPI (${megabytes} MB)`])
      assert.isFalse(existsSync(here.home(platform)))
      here.done()
    }))

  it.live("fetches the plugin alone where there is no GPU, once, and says what CUDA needs besides", () =>
    Effect.gen(function*() {
      const here = machine()
      const cpu = { library: "xla for cpu", version: PluginFile.PLUGINS.cpu.version, folder: here.home("cpu") }
      assert.deepStrictEqual(yield* here.install({ platform: "cpu" }), { ...cpu, fetched: true })
      assert.deepStrictEqual(yield* here.install({ platform: "cpu" }), { ...cpu, fetched: false })
      assert.strictEqual(here.said.length, 1)
      assert.isTrue((yield* here.install({ platform: "cuda" })).fetched)
      assert.isFalse((yield* here.install({ platform: "cuda" })).fetched)
      assert.match(here.said.at(-1)!, /--part compiler \(\d+ MB\); to run on one, --part all \(\d+ MB, without/)
      assert.strictEqual(here.fetched().length, 2)
      here.done()
    }))

  it.live("adds the compiler, and then all that is missing, each wheel once and by its digest", () =>
    Effect.gen(function*() {
      const here = machine()
      const home = here.home("cuda")
      assert.isTrue((yield* here.install({ platform: "cuda", part: "compiler" })).fetched)
      assert.strictEqual(marks(home).length, 1 + XlaCuda.COMPILER.length)
      here.write("driver", "580.65.06\n")
      assert.isTrue((yield* here.install({ platform: "cuda" })).fetched)
      assert.isFalse((yield* here.install({ platform: "cuda" })).fetched)
      const wheels = 1 + XlaCuda.COMPILER.length + XlaCuda.LIBRARIES.length
      assert.strictEqual(marks(home).length, wheels)
      assert.strictEqual(readdirSync(join(home, "nvidia/cu13/lib")).length, wheels)
      assert.strictEqual(here.fetched().length, wheels)
      for (const line of here.fetched()) assert.match(line, /^[a-z0-9-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}$/)
      assert.deepStrictEqual(readdirSync(here.at("caches/patchword")), [`xla-cuda-${PluginFile.PLUGINS.cuda.version}`])
      assert.notInclude(readdirSync(home), ".setup")
      here.done()
    }))

  it.live("links to the libraries of PyTorch, and goes on after a failed download", () =>
    Effect.gen(function*() {
      const here = machine()
      const lib = here.at("torch/nvidia/cu13/lib")
      mkdirSync(lib, { recursive: true })
      const present = XlaCuda.LIBRARIES.filter(({ name }) => name !== "nvidia-nccl-cu13")
      for (const { libraries } of present) for (const name of libraries) writeFileSync(join(lib, name), "")
      here.write("packages", here.at("torch/nvidia"))
      here.write("broken", "nvidia-nccl-cu13")
      const error = yield* Effect.flip(here.install({ platform: "cuda", part: "all" }))
      assert.match(error.message, /^wheel: .*DO NOT MATCH THE HASHES/)
      const home = here.home("cuda")
      assert.strictEqual(marks(home).length, 1)
      here.write("broken")
      assert.isTrue((yield* here.install({ platform: "cuda", part: "all" })).fetched)
      assert.strictEqual(marks(home).length, 1 + XlaCuda.COMPILER.length + 1)
      const [library] = present[0]!.libraries
      assert.strictEqual(readlinkSync(join(home, "nvidia/cu13/lib", library!)), join(lib, library!))
      assert.isFalse((yield* here.install({ platform: "cuda", part: "all" })).fetched)
      here.done()
    }))

  it.live("refuses an old driver", () =>
    Effect.gen(function*() {
      const here = machine()
      here.write("driver", "570.1\n")
      const error = yield* Effect.flip(here.install({ platform: "cuda" }))
      assert.match(error.message, /^driver: its version is 570\.1; install NVIDIA's driver 580 or later, or use --part/)
      assert.deepStrictEqual(here.fetched(), [])
      here.done()
    }))
})
