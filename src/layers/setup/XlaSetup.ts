/**
 * Installs XLA, as the plugin of PJRT for one platform. It fetches the plugin's wheel from PyPI with pip, whose SHA-256 is known here.
 * Plugins run on Linux on x86-64.
 */
import { Effect } from "effect"
import * as Files from "../files/Files.ts"
import * as PluginFile from "../pjrt/PluginFile.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"
import * as Wheels from "./Wheels.ts"

/** NVIDIA's wheels for CUDA 13. The plugin looks for their libraries beside itself, and then where the system has them. */
const CUDA = [
  "nvidia-cublas",
  "nvidia-cuda-cupti",
  "nvidia-cuda-nvcc",
  "nvidia-cuda-nvrtc",
  "nvidia-cuda-runtime",
  "nvidia-cudnn-cu13",
  "nvidia-cufft",
  "nvidia-cusolver",
  "nvidia-cusparse",
  "nvidia-nccl-cu13",
  "nvidia-nvjitlink",
  "nvidia-nvshmem-cu13",
  "nvidia-nvvm"
] as const

const PLATFORM = "linux-x64"

/** The wheels serve every Python 3. */
const PYTHON = "3.12"

/**
 * Puts the plugin into the user's cache folder, where the engine looks first. Does nothing where it is there already. Fails with
 * `SetupError` where no wheel fits the machine or pip cannot fetch it, and with `FileError` where the folder cannot be written.
 */
export const install = Effect.fn("patchword.setup.xla")(
  function*(platform: PluginFile.Platform, report: SetupCommand.Report) {
    const files = yield* Files.make
    const folder = yield* PluginFile.folder(platform)
    const { megabytes, sha256, version, wheel } = PluginFile.PLUGINS[platform]
    const found = { library: `xla for ${platform}`, version, folder }
    const isThere = yield* Effect.orElseSucceed(files.fs.exists(folder), () => false)
    const machine = `${process.platform}-${process.arch}`
    if (!isThere && machine !== PLATFORM) {
      const detail = `${wheel} has no wheel for ${machine}`
      return yield* new SetupError({ part: "wheel", detail, remedy: `use ${PLATFORM}, or another engine` })
    }
    if (!isThere) {
      const temporary = yield* SetupCommand.workspace
      const [file] = yield* Wheels.fetch(temporary, PYTHON, [{ name: wheel, version, sha256, megabytes }], report)
      yield* files.writeFolder(folder, (fresh) =>
        SetupCommand.run("wheel", SetupCommand.ONLINE, temporary, [
          ...SetupCommand.PIP,
          "install",
          "--no-deps",
          "--no-compile",
          "--no-index",
          "--target",
          fresh,
          file!
        ]))
    }
    if (platform === "cuda") {
      yield* report(
        "it needs NVIDIA's driver, and the libraries of CUDA 13 and cuDNN 9. Where the machine does not have them, run: "
          + `python3 -m pip install --no-deps --target ${folder} ${CUDA.join(" ")}`
      )
    }
    return { ...found, fetched: !isThere }
  },
  Effect.scoped
)
