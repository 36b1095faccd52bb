import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber } from "effect"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, vi } from "vitest"
import * as Files from "../../../src/layers/files/Files.ts"
import * as Cuda from "../../../src/layers/setup/Cuda.ts"
import * as TensorFlowSetup from "../../../src/layers/setup/TensorFlowSetup.ts"

const PACKAGE = `
const { existsSync } = require("node:fs")
const lib = require("node:path").join(__dirname, "deps/lib/libtensorflow_cc.so.2")
if (!existsSync(lib)) throw new Error("there is no library")
module.exports = {
  tensor: (all) => ({ sum: () => ({ dataSync: () => [all[0] + all[1]] }) }),
  getBackend: () => "tensorflow",
  backend: () => ({ binding: { TF_Version: "2.21.0" }, isUsingGpuDevice: true })
}`

const PROGRAMS: Readonly<Record<string, string>> = {
  "nvidia-smi": "cat \"$FAKE/driver\"",
  "c++": `[ -e "$FAKE/no-compiler" ] && exit 1
    while [ "$1" != -o ]; do shift; done; echo addon > "$2"`,
  npm: `if [ "$1" = pack ]; then mkdir -p package/include; tar -czf h.tgz package; echo h.tgz; exit; fi
    to=node_modules/@tensorflow/tfjs-node-gpu; mkdir -p $to/binding; cp "$FAKE/index.js" $to/index.js`,
  python3: `for last in "$@"; do :; done
    case "$*" in
    *ctypes*) for file in "$@"; do case "$file" in /*) [ -s "$file" ] || { echo "$file: no library"; exit 1; };; esac; done ;;
    *zipfile*) mkdir -p "$last/tensorflow/include"; cd "$last/tensorflow"; touch libtensorflow_cc.so.2 libtensorflow_framework.so.2 ;;
    *" install "*) mkdir -p nvidia ;;
    *" download "*)
      name=$(sed 's/==.*//' requirements.txt); version=$(sed 's/.*==//;s/ .*//' requirements.txt)
      cat requirements.txt >> "$FAKE/fetched"
      [ -e "$FAKE/stop" ] && { touch "$FAKE/stopped"; exec sleep 60; }
      [ "$(cat "$FAKE/broken" 2>/dev/null)" = "$name" ] && { echo "THESE PACKAGES DO NOT MATCH THE HASHES"; exit 1; }
      touch "$(echo "$name" | tr - _)-$version-py3.whl" ;;
    esac`
}

const machine = () => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-setup-test-"))
  const programs = join(folder, "bin")
  mkdirSync(programs)
  for (const [name, script] of Object.entries(PROGRAMS)) {
    writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  writeFileSync(join(folder, "index.js"), PACKAGE)
  vi.stubEnv("PATH", `${programs}:/usr/bin:/bin`)
  vi.stubEnv("FAKE", folder)
  const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
  const project = at("project")
  mkdirSync(project)
  const caches = at("caches")
  const said: Array<string> = []
  return {
    at,
    said,
    write: (name: string, text = "") => writeFileSync(at(name), text),
    remove: (name: string) => rmSync(at(name)),
    fetched: () => existsSync(at("fetched")) ? readFileSync(at("fetched"), "utf8").trim().split("\n") : [],
    modules: () => existsSync(at("project/node_modules")) ? readdirSync(at("project/node_modules")) : [],
    home: at("project/node_modules/@tensorflow/tfjs-node-gpu"),
    wheels: at("caches/patchword/tensorflow-2.21.0-wheels"),
    install: (options: TensorFlowSetup.TensorFlowSetupOptions = {}) =>
      TensorFlowSetup.install(
        { library: "cuda", cuda: "pypi", folder: project, ...options },
        (line) => Effect.sync(() => void said.push(line))
      ).pipe(
        Effect.provide([
          Files.layerNode,
          ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: caches }))
        ])
      ),
    done: () => rmSync(folder, { recursive: true })
  }
}

const refusal = (found: ReturnType<typeof machine>, options?: TensorFlowSetup.TensorFlowSetupOptions) =>
  Effect.map(Effect.flip(found.install(options)), ({ message }) => message)

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("the setup of TensorFlow for CUDA", () => {
  afterAll(() => void vi.unstubAllEnvs())

  it.live("refuses a machine without a driver or with an old one, says what it would do, and changes nothing", () =>
    Effect.gen(function*() {
      const here = machine()
      assert.match(
        yield* refusal(here),
        /^driver: nvidia-smi finds no GPU.* would link .* or fetch 12 of NVIDIA's wheels from PyPI \(\d+ MB\); .*--without-driver/
      )
      here.write("driver", "470.82.01\n")
      assert.match(yield* refusal(here), /^driver: its version is 470\.82\.01; install NVIDIA's driver 525 or later/)
      assert.deepStrictEqual([here.modules(), here.fetched(), here.said], [[], [], []])
      here.done()
    }))

  it.live("says the sizes, fetches each wheel with its digest, and leaves the package alone", () =>
    Effect.gen(function*() {
      const here = machine()
      here.write("driver", "580.65.06\n")
      const found = yield* here.install()
      assert.deepStrictEqual(found, { library: "tensorflow", version: "2.21.0 gpu", folder: here.home, fetched: true })
      assert.deepStrictEqual(here.said.slice(0, 2), [
        "NVIDIA's driver is of version 580.65.06",
        "13 wheels of PyPI: 3380 MB to fetch, about twice as much unpacked"
      ])
      const lines = here.fetched()
      assert.strictEqual(lines.length, 1 + Cuda.WHEELS.length)
      for (const line of lines) assert.match(line, /^[a-z0-9-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}$/)
      assert.deepStrictEqual(readdirSync(join(here.home, "deps")), ["lib", "nvidia"])
      assert.isTrue(existsSync(join(here.home, "lib/napi-v8/tfjs_binding.node")))
      assert.deepStrictEqual(here.modules(), ["@tensorflow"])
      assert.isFalse(existsSync(here.wheels))
      here.done()
    }))

  it.live("keeps the package of before and the whole wheels when a download fails, and goes on from there", () =>
    Effect.gen(function*() {
      const here = machine()
      here.write("driver", "580.65.06\n")
      yield* here.install()
      const before = here.fetched().length
      here.write("broken", "nvidia-cuda-cupti-cu12")
      assert.match(yield* refusal(here), /^wheel: .*DO NOT MATCH THE HASHES/)
      assert.isTrue(existsSync(join(here.home, "deps/lib/libtensorflow_cc.so.2")))
      assert.deepStrictEqual(here.modules(), ["@tensorflow"])
      assert.strictEqual(here.fetched().length - before, 3)
      assert.strictEqual(readdirSync(here.wheels).filter((name) => name.endsWith(".whl")).length, 2)
      here.remove("broken")
      assert.isTrue((yield* here.install()).fetched)
      here.done()
    }))

  it.live("leaves nothing in the project when it is interrupted in a download", () =>
    Effect.gen(function*() {
      const here = machine()
      here.write("driver", "580.65.06\n")
      here.write("stop")
      const fiber = yield* Effect.forkChild(here.install())
      yield* Effect.promise(() => vi.waitUntil(() => existsSync(here.at("stopped")), { timeout: 20_000 }))
      assert.deepStrictEqual(here.modules(), [".patchword-setup"])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(here.modules(), [])
      here.done()
    }))

  it.live("takes the package out when the binding cannot be compiled", () =>
    Effect.gen(function*() {
      const here = machine()
      here.write("driver", "580.65.06\n")
      here.write("no-compiler")
      assert.match(yield* refusal(here), /^binding: Command failed: c\+\+ .*; install a C\+\+ compiler/)
      assert.isFalse(existsSync(here.home))
      assert.deepStrictEqual(here.modules(), ["@tensorflow"])
      here.done()
    }))

  it.live("installs without a driver only when it is told to", () =>
    Effect.gen(function*() {
      const here = machine()
      assert.isTrue((yield* here.install({ withoutDriver: true })).fetched)
      assert.strictEqual(here.said[0], "without a driver, TensorFlow computes on the processor")
      here.done()
    }))

  it.live("links to CUDA 13 of the machine under the names of CUDA 12, or names what is missing", () =>
    Effect.gen(function*() {
      const here = machine()
      here.write("driver", "580.65.06\n")
      const names =
        "cublas.so.13 cublasLt.so.13 cupti.so.13 nvrtc.so.13 cufft.so.12 cusolver.so.12 cusparse.so.12 nvJitLink.so.13"
      const folders = [here.at("cuda13"), here.at("cudnn")]
      for (const folder of folders) mkdirSync(folder)
      for (const name of names.split(" ")) here.write(`cuda13/lib${name}`, name)
      for (const name of ["cudnn.so.9", "cudnn_ops.so.9"]) here.write(`cudnn/lib${name}`, name)
      assert.match(
        yield* refusal(here, { cuda: folders }),
        /^CUDA: CUDA 13 is not whole: there is no libnccl\.so\.2 in .*cuda13, .*cudnn; name all folders/
      )
      assert.deepStrictEqual(here.fetched(), [])
      here.write("cudnn/libnccl.so.2", "nccl")
      yield* here.install({ cuda: folders })
      assert.deepStrictEqual(
        here.fetched().map((line) => line.split("==")[0]),
        ["tensorflow", "nvidia-cuda-nvcc-cu12", "nvidia-cuda-runtime-cu12"]
      )
      const target = (name: string) => realpathSync(join(here.home, "deps/nvidia", name))
      assert.strictEqual(target("cublas/lib/libcublas.so.12"), realpathSync(here.at("cuda13/libcublas.so.13")))
      assert.strictEqual(target("cusolver/lib/libcusolver.so.11"), realpathSync(here.at("cuda13/libcusolver.so.12")))
      assert.strictEqual(target("cusolver/lib/libcublas.so.13"), realpathSync(here.at("cuda13/libcublas.so.13")))
      assert.strictEqual(target("cudnn/lib/libcudnn_ops.so.9"), realpathSync(here.at("cudnn/libcudnn_ops.so.9")))
      here.write("cuda13/libcufft.so.12")
      assert.match(yield* refusal(here, { cuda: folders }), /^CUDA: .*libcufft\.so\.11: no library/)
      here.done()
    }))
})
