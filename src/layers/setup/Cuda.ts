/** NVIDIA's part of an engine on a GPU: the driver of the machine, and TensorFlow's libraries of CUDA, from PyPI or from the machine. */
import { Config, Effect, Option } from "effect"
import { globSync } from "node:fs"
import * as Files from "../files/Files.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"
import * as Wheels from "./Wheels.ts"

/** The least version of the driver for CUDA 12. */
const DRIVER = 525

/** Tells what to do about a driver that is missing or old. */
const REMEDY = `install NVIDIA's driver ${DRIVER} or later, or use --library cpu`

/**
 * Returns the version of NVIDIA's driver, or none without a GPU. Fails with `SetupError` if it is older than `least`; the remedy says what
 * to do then.
 */
export const driver = Effect.fnUntraced(function*(least: number, remedy: string) {
  const asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"] as const
  const found = yield* Effect.option(SetupCommand.run("driver", remedy, ".", asked))
  const version = Option.map(found, (said) => said.trim().split("\n")[0]!)
  if (Option.isSome(version) && !(Number.parseInt(version.value) >= least)) {
    return yield* new SetupError({ part: "driver", detail: `its version is ${version.value}`, remedy })
  }
  return version
})

/** The same for TensorFlow. */
export const tensorflowDriver = driver(DRIVER, REMEDY)

/** CUDA's wheels, of versions that TensorFlow 2.21 asks for. */
export const WHEELS: ReadonlyArray<Wheels.Wheel> = [
  {
    name: "nvidia-cublas-cu12",
    version: "12.9.3.13",
    megabytes: 581,
    sha256: "d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72"
  },
  {
    name: "nvidia-cuda-cupti-cu12",
    version: "12.9.79",
    megabytes: 11,
    sha256: "096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f"
  },
  {
    name: "nvidia-cuda-nvcc-cu12",
    version: "12.9.86",
    megabytes: 41,
    sha256: "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0"
  },
  {
    name: "nvidia-cuda-nvrtc-cu12",
    version: "12.9.86",
    megabytes: 90,
    sha256: "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4"
  },
  {
    name: "nvidia-cuda-runtime-cu12",
    version: "12.9.79",
    megabytes: 3,
    sha256: "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3"
  },
  {
    name: "nvidia-cudnn-cu12",
    version: "9.28.0.42",
    megabytes: 717,
    sha256: "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375"
  },
  {
    name: "nvidia-cufft-cu12",
    version: "11.4.1.4",
    megabytes: 201,
    sha256: "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28"
  },
  {
    name: "nvidia-curand-cu12",
    version: "10.3.10.19",
    megabytes: 68,
    sha256: "49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e"
  },
  {
    name: "nvidia-cusolver-cu12",
    version: "11.7.5.82",
    megabytes: 338,
    sha256: "15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88"
  },
  {
    name: "nvidia-cusparse-cu12",
    version: "12.5.10.65",
    megabytes: 366,
    sha256: "73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78"
  },
  {
    name: "nvidia-nccl-cu12",
    version: "2.32.3",
    megabytes: 352,
    sha256: "bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c"
  },
  {
    name: "nvidia-nvjitlink-cu12",
    version: "12.9.86",
    megabytes: 40,
    sha256: "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9"
  }
]

/** Says what the setup would fetch on a machine with a driver. */
export const missing = new SetupError({
  part: "driver",
  detail:
    "nvidia-smi finds no GPU, and TensorFlow for CUDA needs NVIDIA's driver. With it, this setup would link to CUDA 12 or 13 " +
    `of the machine, or fetch ${WHEELS.length} of NVIDIA's wheels from PyPI (${Wheels.megabytes(WHEELS)} MB)`,
  remedy: `${REMEDY}; --without-driver installs all the same`
})

/** The wheels that are fetched in any case: TensorFlow needs this runtime, and XLA this compiler. */
export const OWN: ReadonlyArray<Wheels.Wheel> = WHEELS.filter(({ name }) => /-(?:runtime|nvcc)-/.test(name))

/** CUDA's libraries by their folders in `nvidia`: the name that TensorFlow asks for, and the name in CUDA 13. */
const LIBRARIES = [
  ["cublas", "libcublas.so.12", "libcublas.so.13"],
  ["cublas", "libcublasLt.so.12", "libcublasLt.so.13"],
  ["cuda_cupti", "libcupti.so.12", "libcupti.so.13"],
  ["cuda_nvrtc", "libnvrtc.so.12", "libnvrtc.so.13"],
  ["cudnn", "libcudnn.so.9", "libcudnn.so.9"],
  ["cufft", "libcufft.so.11", "libcufft.so.12"],
  ["cusolver", "libcusolver.so.11", "libcusolver.so.12"],
  ["cusparse", "libcusparse.so.12", "libcusparse.so.12"],
  ["nccl", "libnccl.so.2", "libnccl.so.2"],
  ["nvjitlink", "libnvJitLink.so.12", "libnvJitLink.so.13"]
] as const

/** CUDA's libraries on this machine. */
export interface Found {
  readonly version: 12 | 13
  readonly libraries: ReadonlyArray<{ readonly file: string; readonly asked: string; readonly folder: string }>
}

const variable = (name: string) => Effect.map(Effect.orDie(Config.option(Config.String(name))), Option.toArray)

/** The folders with NVIDIA's packages of Python 3. PyTorch brings most of them. */
const ofPython = SetupCommand.run("python3", SetupCommand.ONLINE, ".", [
  "python3",
  "-c",
  "import nvidia; print(*nvidia.__path__, sep='\\n')"
]).pipe(
  Effect.orElseSucceed(() => ""),
  Effect.map((said) => said.split("\n").filter((folder) => folder !== "").flatMap((at) => globSync(`${at}/*/lib`)))
)

/** The folders where CUDA usually lies. */
export const usual = Effect.gen(function*() {
  const environments = yield* variable("VIRTUAL_ENV")
  const paths = yield* variable("LD_LIBRARY_PATH")
  const homes = [...(yield* variable("CUDA_HOME")), "/usr/local/cuda"]
  return [
    ...paths.flatMap((path) => path.split(":").filter((folder) => folder !== "")),
    ...environments.flatMap((folder) => globSync(`${folder}/lib/python3*/site-packages/nvidia/*/lib`)),
    ...(yield* ofPython),
    ...homes.flatMap((home) => [`${home}/lib64`, `${home}/extras/CUPTI/lib64`]),
    "/usr/lib/x86_64-linux-gnu"
  ]
})

/** Returns a function that finds a file in the first of these folders that has it. */
export const locate = (folders: ReadonlyArray<string>) =>
  Effect.map(Files.make, ({ fs, path: { join } }) => (file: string): Effect.Effect<Option.Option<string>> =>
    Effect.map(
      Effect.findFirst(folders, (folder) => Effect.orElseSucceed(fs.exists(join(folder, file)), () => false)),
      Option.map((folder) => join(folder, file))
    ))

/**
 * Finds all of CUDA's libraries, of version 12 or 13, in these folders. Fails with `SetupError`, which names those that are
 * missing from the version of which there are more.
 */
export const find = Effect.fnUntraced(function*(folders: ReadonlyArray<string>) {
  const at = yield* locate(folders)
  const lookups = yield* Effect.forEach([12, 13] as const, (version) =>
    Effect.map(
      Effect.forEach(LIBRARIES, ([folder, asked, later]) => {
        const name = version === 12 ? asked : later
        return Effect.map(at(name), (file) => ({ asked, file, folder, name }))
      }),
      (libraries) => ({ version, libraries, missing: libraries.filter(({ file }) => Option.isNone(file)) })
    ))
  const [best] = lookups.toSorted((a, b) => a.missing.length - b.missing.length)
  const { libraries, missing, version } = best!
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(", ")
    return yield* new SetupError({
      part: "CUDA",
      detail: `CUDA ${version} is not whole: there is no ${names} in ${folders.join(", ")}`,
      remedy: "name all folders, joined by \":\", in --cuda, or use --cuda pypi"
    })
  }
  const found: Found = {
    version,
    libraries: libraries.flatMap(({ asked, file, folder }) =>
      Option.toArray(Option.map(file, (file) => ({ asked, file, folder })))
    )
  }
  return found
})

/** Loads each library with all that it needs. */
const LOAD = "import ctypes, sys; [ctypes.CDLL(file, ctypes.RTLD_GLOBAL) for file in sys.argv[1:]]"

/** Fails with `SetupError` if one of these libraries does not load. */
export const check = (remedy: string, folder: string, libraries: ReadonlyArray<string>) =>
  SetupCommand.run("CUDA", remedy, folder, ["python3", "-c", LOAD, ...libraries])

/**
 * Links libraries into a folder, under the names that are asked for. Their parts lie beside them there, because the libraries look for
 * each other beside themselves. Fails with `FileError`.
 */
export const linkInto = Effect.fnUntraced(
  function*(folder: string, libraries: ReadonlyArray<{ readonly file: string; readonly asked: string }>) {
    const files = yield* Files.make
    const { fs, path: { basename, dirname, join } } = files
    yield* files.makeFolder(folder)
    const links = new Map(libraries.flatMap(({ asked, file }) => [
      [asked, file] as const,
      ...globSync(`${basename(file).replace(/\.so.*$/, "")}*.so*`, { cwd: dirname(file) })
        .map((part) => [part, join(dirname(file), part)] as const)
    ]))
    yield* Files.onFailure(folder)(
      Effect.forEach(
        links,
        ([name, file]) =>
          Effect.andThen(fs.remove(join(folder, name), { force: true }), fs.symlink(file, join(folder, name))),
        {
          discard: true
        }
      )
    )
  }
)

/**
 * Links the libraries into `nvidia`, under the names that TensorFlow asks for. Fails with `SetupError` if one does not load, and
 * with `FileError`.
 */
export const link = Effect.fnUntraced(function*(nvidia: string, found: Found) {
  const { libraries, version } = found
  const { fs, path: { join } } = yield* Files.make
  yield* linkInto(join(nvidia, "linked"), libraries)
  yield* Files.onFailure(nvidia)(Effect.gen(function*() {
    for (const folder of new Set(libraries.map(({ folder }) => folder))) {
      yield* fs.makeDirectory(join(nvidia, folder), { recursive: true })
      yield* fs.symlink("../linked", join(nvidia, folder, "lib"))
    }
  }))
  yield* check(
    `install a whole CUDA ${version}, or use --cuda pypi`,
    nvidia,
    libraries.map(({ asked, folder }) => join(nvidia, folder, "lib", asked))
  )
})
