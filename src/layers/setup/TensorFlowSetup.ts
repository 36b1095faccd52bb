/**
 * Installs TensorFlow for `Engine.layerTensorFlow`, into the `node_modules` in which patchword lies. Neither package.json nor
 * package-lock.json changes; the next `npm install` or `npm ci` takes it out again.
 *
 * The npm package holds the kernels of TensorFlow.js and the source of a binding. Its install script downloads TensorFlow's library
 * and the compiled binding from a host of its own. Where that host cannot be reached, the library comes from TensorFlow's wheel on
 * PyPI (Linux, 210 MB), and the binding is compiled here: that takes pip, a C++ compiler and 20 seconds.
 *
 * The library `cuda` comes from the wheel with CUDA (x64), and needs NVIDIA's driver. CUDA's own libraries lie in `deps/nvidia`,
 * where TensorFlow looks for them. Those of the machine are linked, under the names of CUDA 12; else NVIDIA's wheels are fetched.
 */
import { Config, Effect, Option } from "effect"
import { globSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Caches from "../files/Caches.ts"
import * as Files from "../files/Files.ts"
import * as Cuda from "./Cuda.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"
import * as Wheels from "./Wheels.ts"

/** The source of TensorFlow's library, and the device that it computes on. */
export interface TensorFlowSetupOptions {
  /** Default `tfjs-node-gpu`. */
  readonly package?: "tfjs-node-gpu" | "tfjs-node"
  /** The package's own host or PyPI; default the first that can be reached. */
  readonly from?: "own" | "pypi"
  /** Default `cuda` where `nvidia-smi` finds a GPU. It holds for `pypi`. */
  readonly library?: "cpu" | "cuda"
  /**
   * Folders with CUDA's libraries of version 12 or 13, to link; or `pypi`, to fetch them. Default: the usual folders, if they
   * have all of them, else `pypi`.
   */
  readonly cuda?: "pypi" | ReadonlyArray<string>
  /** Installs the library `cuda` also where there is no driver; default false. */
  readonly withoutDriver?: boolean
  /** The folder whose `node_modules` gets the package; default the one in which patchword lies. */
  readonly folder?: string
}

const VERSION = "4.22.0"
const KINDS = { "tfjs-node-gpu": "gpu", "tfjs-node": "cpu" } as const
const WHEELS: Readonly<Record<string, Wheels.Wheel>> = {
  "cpu-x64": {
    name: "tensorflow-cpu",
    version: "2.15.1",
    megabytes: 207,
    sha256: "54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26"
  },
  "cpu-arm64": {
    name: "tensorflow-cpu-aws",
    version: "2.15.1",
    megabytes: 212,
    sha256: "d4c3a3a9363bf42999adedbbd514e3a133be2d62f61fee9cfa46aaefb087c09e"
  },
  "cuda-x64": {
    name: "tensorflow",
    version: "2.21.0",
    megabytes: 572,
    sha256: "9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124"
  }
}
const PYTHON = "3.11"
/** The interface to Node.js is the same in all versions: these headers serve every one. */
const HEADERS = "node-api-headers@1.9.0"
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]
const ADDON = "lib/napi-v8/tfjs_binding.node"
const PYPI = "run it again with --from pypi"

const here = fileURLToPath(new URL("../../..", import.meta.url))
/** The folder with the `node_modules` in which patchword lies: that of a project, or a clone. */
const project = here.replace(/[/\\]node_modules[/\\]patchword[/\\]$/, "")

/** The package's own report on loading, from a process of its own. */
const look = (folder: string, name: string) => {
  const code = `
    const util = process.getBuiltinModule("util")
    Object.assign(util, { isArray: Array.isArray, isNullOrUndefined: (x) => x == null })
    const tf = require(process.argv[1])
    const [sum] = tf.tensor([20, 22]).sum().dataSync()
    const { binding, isUsingGpuDevice } = tf.backend()
    if (sum !== 42 || tf.getBackend() !== "tensorflow") throw new Error("20 + 22 is " + sum)
    process.stdout.write(binding.TF_Version + " " + (isUsingGpuDevice ? "gpu" : "cpu"))`
  return SetupCommand.run("check", PYPI, folder, [process.execPath, "-e", code, `@tensorflow/${name}`])
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
    archive.extractall(target, [n for n in archive.namelist() if n.startswith(wanted)])
`

/** CUDA's libraries of the machine, or none if they are to be fetched. Says which. */
const ofMachine = Effect.fnUntraced(function*(cuda: TensorFlowSetupOptions["cuda"], report: SetupCommand.Report) {
  if (cuda === "pypi") return Option.none()
  const found = cuda === undefined
    ? yield* Effect.option(Cuda.find(yield* Cuda.usual))
    : Option.some(yield* Cuda.find(cuda))
  if (Option.isSome(found)) {
    const { libraries, version } = found.value
    yield* report(`linking to CUDA ${version} of this machine (${libraries[0]!.file}); --cuda pypi fetches CUDA 12`)
  }
  return found
})

/** Fills `deps` with TensorFlow's library and headers, and with CUDA's libraries. */
const unpack = Effect.fnUntraced(function*(
  deps: string,
  library: "cpu" | "cuda",
  cuda: TensorFlowSetupOptions["cuda"],
  report: SetupCommand.Report
) {
  const wheel = WHEELS[`${library}-${process.arch}`]
  if (process.platform !== "linux" || wheel === undefined) {
    const detail = `PyPI has no wheel of TensorFlow for ${library} that fits ${process.platform}-${process.arch}`
    return yield* new SetupError({ part: "wheel", detail, remedy: "use Linux with --library cpu, or --from own" })
  }
  const { path: { join } } = yield* Files.make
  const linked = library === "cuda" ? yield* ofMachine(cuda, report) : Option.none()
  const parts = library === "cpu" ? [] : Option.isSome(linked) ? Cuda.OWN : Cuda.WHEELS
  const all = [wheel, ...parts]
  const size = Wheels.megabytes(all)
  if (all.length > 1) yield* report(`${all.length} wheels of PyPI: ${size} MB to fetch, about twice as much unpacked`)
  const kept = yield* Caches.folder(`tensorflow-${wheel.version}-wheels`)
  const [tensorflow, ...others] = yield* Wheels.fetch(kept, PYTHON, all, report)
  yield* report("unpacking its libraries and headers")
  yield* SetupCommand.run("unpacking", Wheels.ROOM, deps, ["python3", "-c", EXTRACT, tensorflow!, deps])
  if (others.length > 0) yield* Wheels.install(deps, others)
  if (Option.isSome(linked)) yield* Cuda.link(join(deps, "nvidia"), linked.value)
  return kept
})

/** Compiles the binding of the package in `home` for the library in `deps`, and puts both in their places. */
const build = Effect.fnUntraced(function*(home: string, deps: string, report: SetupCommand.Report) {
  const files = yield* Files.make
  const { fs, path: { dirname, join } } = files
  const folder = yield* SetupCommand.workspace
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
  const libraries = join(deps, "tensorflow")
  yield* SetupCommand.run("binding", "install a C++ compiler (Debian: apt-get install g++), or name one in CXX", home, [
    compiler,
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-shared",
    "-DNAPI_VERSION=8",
    `-I${join(libraries, "include")}`,
    `-I${join(folder, "package/include")}`,
    ...globSync("binding/*.cc", { cwd: home }),
    "-o",
    `${built}.new`,
    `-L${libraries}`,
    ...LIBRARIES.map((file) => `-l:${file}`),
    "-Wl,-rpath,$ORIGIN/../../deps/lib"
  ])
  yield* Files.onFailure(home)(Effect.gen(function*() {
    yield* fs.remove(join(libraries, "include"), { recursive: true })
    yield* fs.rename(libraries, join(deps, "lib"))
    yield* fs.remove(join(home, "deps"), { recursive: true, force: true })
    yield* fs.rename(deps, join(home, "deps"))
    yield* fs.rename(`${built}.new`, built)
  }))
})

/** The kind of PyPI's library. Fails with `SetupError` if it is `cuda`, and the driver is missing or old. */
const kindOf = Effect.fnUntraced(function*(options: TensorFlowSetupOptions, report: SetupCommand.Report) {
  const { library, package: name = "tfjs-node-gpu", withoutDriver = false } = options
  if (library === "cpu" || (library === undefined && name === "tfjs-node")) return "cpu"
  const driver = yield* Cuda.tensorflowDriver
  if (Option.isSome(driver)) {
    yield* report(`NVIDIA's driver is of version ${driver.value}`)
    return "cuda"
  }
  if (library === undefined) return "cpu"
  if (!withoutDriver) return yield* Cuda.missing
  yield* report("without a driver, TensorFlow computes on the processor")
  return "cuda"
})

/**
 * Installs the package and its library where they are not there or an option asks for others. Fails with `SetupError` where a part
 * fails, and with `FileError` where a folder cannot be written. A failure before npm runs changes nothing. After a later failure or
 * an interruption the package is gone, and its wheels are not fetched again.
 */
export const install = Effect.fn("patchword.setup.tensorflow")(
  function*(options: TensorFlowSetupOptions, report: SetupCommand.Report) {
    const { cuda, folder: root = project, from, library, package: name = "tfjs-node-gpu" } = options
    const files = yield* Files.make
    const { fs, path: { join } } = files
    const modules = join(root, "node_modules")
    const folder = join(modules, "@tensorflow", name)
    const found = (version: string, fetched: boolean) => ({ library: "tensorflow", version, folder, fetched })
    const already = yield* Effect.option(look(root, name))
    if (already._tag === "Some" && from === undefined && library === undefined && cuda === undefined) {
      return found(already.value, false)
    }

    const kind = KINDS[name]
    const url = yield* host(kind)
    const own = from === "own" ||
      (from === undefined && library === undefined && cuda === undefined && (yield* reachable(url)))
    const wanted = own
      ? undefined
      : yield* kindOf(cuda === undefined ? options : { library: "cuda", ...options }, report)
    // npm leaves folders with a dot alone, and a rename needs the same disk.
    const stage = join(modules, ".patchword-setup")
    const clear = fs.remove(stage, { recursive: true, force: true })
    yield* Effect.acquireRelease(
      Effect.andThen(Files.onFailure(stage)(clear), files.makeFolder(stage)),
      () => Effect.ignore(clear)
    )
    const wheels = wanted === undefined ? undefined : yield* unpack(stage, wanted, cuda, report)

    const installed = Effect.gen(function*() {
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
      if (wanted === undefined) {
        yield* report(`downloading its library from ${url}; no digest is known for it, so it is not checked`)
        // npm explore has the programs of node_modules in its path, as an install script has.
        yield* SetupCommand.run("own download", PYPI, root, [
          "npm",
          "explore",
          `@tensorflow/${name}`,
          "--",
          "node",
          "scripts/install.js",
          kind,
          "download"
        ])
      } else yield* build(folder, stage, report)
      return yield* look(root, name)
    })
    // Half a package would look like one.
    const version = yield* Effect.onError(
      installed,
      () => Effect.ignore(fs.remove(folder, { recursive: true, force: true }))
    )
    if (wanted === "cuda" && options.withoutDriver !== true && !version.endsWith("gpu")) {
      yield* report("TensorFlow finds no GPU with these libraries; with TF_CPP_MIN_LOG_LEVEL=0 it says why")
    }
    if (wheels !== undefined) yield* Files.onFailure(wheels)(fs.remove(wheels, { recursive: true, force: true }))
    return found(version, true)
  },
  Effect.scoped
)
