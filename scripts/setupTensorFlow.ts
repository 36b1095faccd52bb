/**
 * `npm run setup:tensorflow [-- --package tfjs-node-gpu|tfjs-node] [--from own|pypi] [--library cpu|cuda]`: puts TensorFlow
 * into this checkout, for `Engine.layerTensorFlow`. Neither package.json nor package-lock.json changes; the next
 * `npm install` or `npm ci` takes it out again.
 *
 * The npm package holds the kernels of TensorFlow.js and the source of a binding; TensorFlow's library and the compiled
 * binding are downloaded by its install script from a host of its own. Where that host cannot be reached, or with
 * `--from pypi`, the library is taken from TensorFlow's wheel on PyPI (Linux, 207 MB) and the binding is compiled here: that
 * takes pip, a C++ compiler and 20 seconds.
 *
 * `--library cuda` is chosen where `nvidia-smi` finds a GPU: the wheel with CUDA (0.6 GB), and those of NVIDIA's packages
 * that it asks for (4.2 GB unpacked, two minutes), put into `deps/nvidia`, where the wheel's libraries look for them:
 * `$ORIGIN/../nvidia/NAME/lib`. The driver has to be there. On a machine without a GPU all of it installs, loads and
 * computes on the processor; on a GPU it has not been run yet.
 */
import { Console, Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { fail, main, online, pip, root, run, SetupError, temporary, timed } from "./setup.ts"

const PACKAGES = { "tfjs-node-gpu": "gpu", "tfjs-node": "cpu" } as const
const VERSION = "4.22.0"
/** The wheels of both libraries, and what of CUDA the second needs beside it. */
const WHEELS = {
  cpu: { name: process.arch === "x64" ? "tensorflow-cpu" : "tensorflow", version: "2.15.1" },
  cuda: { name: "tensorflow", version: "2.21.0" }
} as const
/** The interface to Node is the same for all versions: these headers serve every one. */
const HEADERS = "node-api-headers@1.9.0"
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]
const ADDON = "lib/napi-v8/tfjs_binding.node"
const USAGE = "npm run setup:tensorflow [-- --package tfjs-node-gpu|tfjs-node] [--from own|pypi] [--library cpu|cuda]"

const options = Effect.try({
  try: () => {
    const { values } = parseArgs({
      options: {
        package: { type: "string", default: "tfjs-node-gpu" },
        from: { type: "string" },
        library: { type: "string" }
      }
    })
    return Schema.decodeUnknownSync(
      Schema.Struct({
        package: Schema.Literals(["tfjs-node-gpu", "tfjs-node"]),
        from: Schema.optionalKey(Schema.Literals(["own", "pypi"])),
        library: Schema.optionalKey(Schema.Literals(["cpu", "cuda"]))
      })
    )({ ...values })
  },
  catch: (cause) => new SetupError({ step: "options", detail: String(cause), remedy: `run ${USAGE}`, code: 64 })
})

/** What the package says of itself when it is loaded, in a process of its own. */
const look = (name: string) => {
  const code = `
    const util = require("util")
    Object.assign(util, { isArray: Array.isArray, isNullOrUndefined: (x) => x == null })
    const tf = require("@tensorflow/${name}")
    const [sum] = tf.tensor([20, 22]).sum().dataSync()
    const { binding, isUsingGpuDevice } = tf.backend()
    if (sum !== 42 || tf.getBackend() !== "tensorflow") throw new Error("20 + 22 is " + sum)
    console.log("@tensorflow/${name} on TensorFlow " + binding.TF_Version + ", " + (isUsingGpuDevice ? "GPU" : "CPU"))`
  const remedy = "run it again with --from pypi"
  const loading = run("check", { env: { TF_CPP_MIN_LOG_LEVEL: "2" }, remedy }, [process.execPath, "-e", code])
  return Effect.map(loading, (said) => said.trim())
}

const host = (kind: "cpu" | "gpu"): string => {
  const { CDN_STORAGE, TFJS_NODE_BASE_URI, TFJS_NODE_CDN_STORAGE } = process.env
  const storage = TFJS_NODE_CDN_STORAGE ?? CDN_STORAGE ?? "https://storage.googleapis.com/"
  const base = TFJS_NODE_BASE_URI ?? `${storage}tensorflow/libtensorflow/libtensorflow-`
  return `${base}${kind}-linux-x86_64-2.9.1.tar.gz`
}

const reachable = (url: string): Effect.Effect<boolean> =>
  Effect.promise((signal) =>
    fetch(url, { method: "HEAD", signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]) }).then(
      ({ ok }) => ok,
      () => false
    )
  )

const fromOwnHost = (home: string, kind: "cpu" | "gpu") => {
  const npm = process.env["npm_execpath"]
  const gyp = npm === undefined ? [] : [join(dirname(npm), "node-gyp-bin"), join(dirname(npm), "../lib/node-gyp-bin")]
  const PATH = [...gyp, join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter)
  const remedy = "run it again with --from pypi"
  const installing = run("own download", { cwd: home, env: { PATH }, remedy }, [
    process.execPath,
    "scripts/install.js",
    kind,
    "download"
  ])
  return Effect.filterOrElse(
    installing,
    () => existsSync(join(home, ADDON)),
    () => fail("own download", "it left no compiled binding", remedy)
  )
}

const EXTRACT = `
import sys, zipfile
wheel, target = sys.argv[1:]
wanted = ("tensorflow/libtensorflow", "tensorflow/include/")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(target, [n for n in archive.namelist() if n.startswith(wanted) or n.endswith("/METADATA")])
`

const nvidia = (wheel: string): ReadonlyArray<string> => {
  const [metadata] = globSync("*.dist-info/METADATA", { cwd: wheel })
  return Array.from(
    readFileSync(join(wheel, metadata!), "utf8").matchAll(/^Requires-Dist: (nvidia-[^;]*);.*and-cuda/gm),
    ([, requirement]) => requirement!.replaceAll(/[() ]/g, "")
  )
}

const fromPypi = Effect.fnUntraced(function*(home: string, library: "cpu" | "cuda") {
  if (process.platform !== "linux") {
    return yield* fail(
      "wheel",
      `PyPI's wheels are laid out otherwise on ${process.platform}`,
      "use Linux, or --from own"
    )
  }
  const folder = yield* temporary
  const { name, version } = WHEELS[library]
  const any = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
  const wanted = `${name}==${version}`
  yield* timed(
    `fetching ${name} ${version} from PyPI`,
    run("wheel", online, [...pip, "download", ...any, "--dest", folder, wanted])
  )
  const unpacked = join(folder, "wheel")
  const [wheel] = globSync("*.whl", { cwd: folder })
  const room = { remedy: "free 3 GB in the temporary folder and here" }
  yield* timed(
    "unpacking its libraries and headers",
    run("unpacking", room, ["python3", "-c", EXTRACT, join(folder, wheel!), unpacked])
  )
  const deps = join(home, "deps")
  const libraries = join(deps, "lib")
  rmSync(deps, { recursive: true, force: true })
  mkdirSync(libraries, { recursive: true })
  for (const file of LIBRARIES) {
    // A rename where both folders are on one disk, a copy elsewhere.
    yield* run("libraries", room, ["mv", join(unpacked, "tensorflow", file), libraries])
  }
  if (library === "cuda") {
    const requirements = nvidia(unpacked)
    yield* timed(
      `fetching ${requirements.length} of NVIDIA's packages from PyPI`,
      run("CUDA", online, [...pip, "install", ...any, "--target", deps, ...requirements])
    )
  }
  const packed = yield* run("headers", { cwd: folder, remedy: "let npm reach its registry" }, [
    "npm",
    "pack",
    "--silent",
    HEADERS
  ])
  yield* run("headers", { cwd: folder, remedy: "install tar" }, ["tar", "-xzf", packed.trim().split("\n").at(-1)!])
  const built = join(home, ADDON)
  mkdirSync(dirname(built), { recursive: true })
  const compiler = { cwd: home, remedy: "install a C++ compiler (Debian: apt-get install g++), or name one in CXX" }
  yield* timed(
    "compiling the binding",
    run("binding", compiler, [
      process.env["CXX"] ?? "c++",
      "-std=c++17",
      "-O2",
      "-fPIC",
      "-shared",
      "-DNAPI_VERSION=8",
      `-I${join(unpacked, "tensorflow/include")}`,
      `-I${join(folder, "package/include")}`,
      ...globSync("binding/*.cc", { cwd: home }),
      "-o",
      `${built}.new`,
      `-L${libraries}`,
      ...LIBRARIES.map((file) => `-l:${file}`),
      "-Wl,-rpath,$ORIGIN/../../deps/lib"
    ])
  )
  renameSync(`${built}.new`, built)
})

const program = Effect.gen(function*() {
  const { from, library, package: name } = yield* options
  const already = yield* Effect.option(look(name))
  if (already._tag === "Some" && from === undefined && library === undefined) {
    return yield* Console.log(`${already.value}: already here`)
  }
  const home = join(root, "node_modules/@tensorflow", name)
  yield* timed(
    `installing @tensorflow/${name} ${VERSION} from npm, without its install script`,
    run("npm", { remedy: "run npm ci before, and let npm reach its registry" }, [
      "npm",
      "install",
      "--no-save",
      // npm does not install by name what package.json has as an optional peer, unless it should become a dependency.
      "--save-prod",
      "--ignore-scripts",
      "--loglevel=error",
      `@tensorflow/${name}@${VERSION}`
    ])
  )
  const kind = PACKAGES[name]
  const url = host(kind)
  const own = from === "own" || (from === undefined && library === undefined && (yield* reachable(url)))
  if (!own) yield* Console.log(`- ${from === "pypi" ? "not asking" : "no answer from"} the package's own host: ${url}`)
  const gpu = kind === "gpu" && spawnSync("nvidia-smi", ["-L"]).status === 0
  const filled = own
    ? timed(`downloading library and binding with the package's own script: ${url}`, fromOwnHost(home, kind))
    : fromPypi(home, library ?? (gpu ? "cuda" : "cpu"))
  // Half a package would look like one.
  yield* Effect.tapError(filled, () => Effect.sync(() => rmSync(home, { recursive: true, force: true })))
  yield* Console.log(yield* look(name))
})

await main("TensorFlow", Effect.scoped(program))
