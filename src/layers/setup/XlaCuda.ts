/** NVIDIA's part of XLA on a GPU: its compiler, and the libraries of CUDA 13, from the machine or from PyPI. */
import { Effect, Option } from "effect"
import * as Caches from "../files/Caches.ts"
import * as Files from "../files/Files.ts"
import * as Cuda from "./Cuda.ts"
import * as SetupCommand from "./SetupCommand.ts"
import type { SetupError } from "./SetupError.ts"
import * as Wheels from "./Wheels.ts"

/** A part of the setup: the plugin alone, what compiles without a GPU besides, or all that a GPU needs. */
export type Part = "plugin" | "compiler" | "all"

/** A wheel, and the libraries in it that XLA asks for. One without libraries is fetched in any case. */
interface Package extends Wheels.Wheel {
  readonly libraries: ReadonlyArray<string>
}

/** XLA's compiler for NVIDIA calls `ptxas`, and links `libdevice`. */
export const COMPILER: ReadonlyArray<Package> = [
  {
    name: "nvidia-cuda-nvcc",
    version: "13.5.37",
    megabytes: 48,
    sha256: "f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7",
    libraries: []
  },
  {
    name: "nvidia-nvvm",
    version: "13.5.37",
    megabytes: 76,
    sha256: "c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070",
    libraries: []
  }
]

/** Libraries that a GPU needs besides. */
export const LIBRARIES: ReadonlyArray<Package> = [
  {
    name: "nvidia-cublas",
    version: "13.10.0.20",
    megabytes: 445,
    sha256: "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84",
    libraries: ["libcublas.so.13", "libcublasLt.so.13"]
  },
  {
    name: "nvidia-cuda-cupti",
    version: "13.5.25",
    megabytes: 13,
    sha256: "9dcca41c12a734192b14e7128ae116bc9ce1b9da686e2ebf48ae7a4415f76650",
    libraries: ["libcupti.so.13"]
  },
  {
    name: "nvidia-cuda-nvrtc",
    version: "13.5.37",
    megabytes: 59,
    sha256: "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc",
    libraries: ["libnvrtc.so.13"]
  },
  {
    name: "nvidia-cuda-runtime",
    version: "13.5.37",
    megabytes: 3,
    sha256: "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d",
    libraries: ["libcudart.so.13"]
  },
  {
    name: "nvidia-cudnn-cu13",
    version: "9.28.1.4",
    megabytes: 517,
    sha256: "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec",
    libraries: ["libcudnn.so.9"]
  },
  {
    name: "nvidia-cufft",
    version: "12.5.0.14",
    megabytes: 166,
    sha256: "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad",
    libraries: ["libcufft.so.12"]
  },
  {
    name: "nvidia-cusolver",
    version: "12.4.1.2",
    megabytes: 261,
    sha256: "b3b8e02fd2f2df869369af075dc3a179d43f6f7b85e94632a7dce556697be044",
    libraries: ["libcusolver.so.12"]
  },
  {
    name: "nvidia-cusparse",
    version: "12.9.4.2",
    megabytes: 231,
    sha256: "072667e58c851a318738f5527a12eb225cbf058803f2ea451c722d8cf8edddec",
    libraries: ["libcusparse.so.12"]
  },
  {
    name: "nvidia-nccl-cu13",
    version: "2.32.3",
    megabytes: 306,
    sha256: "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3",
    libraries: ["libnccl.so.2"]
  },
  {
    name: "nvidia-nvjitlink",
    version: "13.5.37",
    megabytes: 47,
    sha256: "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb",
    libraries: ["libnvJitLink.so.13"]
  }
]

/** The least version of NVIDIA's driver for CUDA 13. */
const DRIVER = 580

const REMEDY = `install NVIDIA's driver ${DRIVER} or later, or use --part compiler`

/** The part that the machine can use: all of it beside a driver. Fails with `SetupError` if the driver is too old. */
export const usable: Effect.Effect<Part, SetupError> = Effect.map(
  Cuda.driver(DRIVER, REMEDY),
  (driver) => Option.isSome(driver) ? "all" : "plugin"
)

/** Where the plugin looks for libraries, beside itself. */
const LIB = "nvidia/cu13/lib"

const PYTHON = "3.12"

/** The folder that a wheel leaves where pip has unpacked it. */
const mark = ({ name, version }: Wheels.Wheel): string => `${name.replaceAll("-", "_")}-${version}.dist-info`

/** Divides packages into those whose libraries the machine has, with their places, and the others. */
const located = Effect.fnUntraced(function*(packages: ReadonlyArray<Package>) {
  const at = yield* Cuda.locate(yield* Cuda.usual)
  const found: Array<{ readonly asked: string; readonly file: string }> = []
  const missing: Array<Package> = []
  for (const one of packages) {
    const files = yield* Effect.forEach(
      one.libraries,
      (asked) => Effect.map(at(asked), Option.map((file) => ({ asked, file })))
    )
    const all = Option.all(files)
    if (files.length > 0 && Option.isSome(all)) found.push(...all.value)
    else missing.push(one)
  }
  return { found, missing }
})

const packages = (part: Part): ReadonlyArray<Package> =>
  part === "plugin" ? [] : part === "compiler" ? COMPILER : [...COMPILER, ...LIBRARIES]

/** Size of a part on PyPI, in 10⁶ bytes. */
export const megabytes = (part: Part): number => Wheels.megabytes(packages(part))

/**
 * Puts a part beside the plugin in `folder`. Libraries of the machine or of PyTorch are linked, and the others are fetched. Returns false if
 * all of it is there. Fails with `SetupError`, and with `FileError`. Whole wheels of a failed setup are not fetched again.
 */
export const add = Effect.fnUntraced(function*(folder: string, part: Part, report: SetupCommand.Report) {
  const files = yield* Files.make
  const { fs, path: { join } } = files
  const there = (file: string) => Effect.orElseSucceed(fs.exists(join(folder, file)), () => false)
  const absent = yield* Effect.filter(packages(part), (one) => Effect.map(there(mark(one)), (is) => !is))
  const { found, missing } = yield* located(absent)
  const fresh = yield* Effect.filter(found, ({ asked }) => Effect.map(there(join(LIB, asked)), (is) => !is))
  if (missing.length > 0) {
    const kept = yield* Caches.folder("cuda-13-wheels")
    yield* report(
      `${missing.length} wheels of PyPI: ${Wheels.megabytes(missing)} MB to fetch, about twice as much unpacked`
    )
    const wheels = yield* Wheels.fetch(kept, PYTHON, missing, report)
    const stage = join(folder, ".setup")
    const clear = Effect.ignore(fs.remove(stage, { recursive: true, force: true }))
    yield* Effect.acquireUseRelease(
      Effect.andThen(clear, files.makeFolder(stage)),
      () =>
        Effect.gen(function*() {
          yield* Wheels.install(stage, wheels)
          // pip replaces folders, and wheels share them. What marks a wheel as whole comes last.
          const copy = (...names: ReadonlyArray<string>) =>
            SetupCommand.run("unpacking", Wheels.ROOM, stage, ["cp", "-al", "--remove-destination", ...names, folder])
          yield* copy("nvidia")
          yield* copy(...missing.map(mark))
        }),
      () => clear
    )
    yield* Files.onFailure(kept)(fs.remove(kept, { recursive: true, force: true }))
  }
  if (fresh.length > 0) {
    const lib = join(folder, LIB)
    yield* report(`linking to ${fresh.length} libraries of CUDA 13 on this machine (${fresh[0]!.file})`)
    yield* Cuda.linkInto(lib, fresh)
    yield* Cuda.check("install a whole CUDA 13", folder, fresh.map(({ asked }) => join(lib, asked)))
  }
  return missing.length + fresh.length > 0
})
