/**
 * Installs XLA, as the plugin of PJRT for one platform, from PyPI with pip. The SHA-256 of each wheel is known here. Plugins run on Linux on
 * x86-64.
 */
import { Effect } from "effect"
import * as Files from "../files/Files.ts"
import * as PluginFile from "../pjrt/PluginFile.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"
import * as Wheels from "./Wheels.ts"
import * as XlaCuda from "./XlaCuda.ts"

/** The platform, and what is wanted for it. */
export interface XlaSetupOptions {
  readonly platform: PluginFile.Platform
  /** For `cuda`. Default `all` where `nvidia-smi` finds a GPU, else `plugin`. */
  readonly part?: XlaCuda.Part
}

const PLATFORM = "linux-x64"

/** The wheels serve every Python 3. */
const PYTHON = "3.12"

/** Says what is not installed. */
const absent = (part: XlaCuda.Part): string =>
  part === "plugin"
    ? `to compile for a GPU that is not here, it needs --part compiler (${
      XlaCuda.megabytes("compiler")
    } MB); to run on one, --part all ` +
      `(${XlaCuda.megabytes("all")} MB, without what the machine has)`
    : `to run on a GPU, it needs --part all (${XlaCuda.megabytes("all")} MB, without what the machine has)`

/**
 * Puts the plugin into the user's cache folder, where the engine looks first, and the parts of CUDA beside it. What is there already is not
 * fetched. Fails with `SetupError` where no wheel fits the machine, where NVIDIA's driver is too old or where pip cannot fetch a wheel, and
 * with `FileError` where the folder cannot be written.
 */
export const install = Effect.fn("patchword.setup.xla")(
  function*(options: XlaSetupOptions, report: SetupCommand.Report) {
    const { part, platform } = options
    const files = yield* Files.make
    const folder = yield* PluginFile.folder(platform)
    const { megabytes, sha256, version, wheel } = PluginFile.PLUGINS[platform]
    const isThere = yield* Effect.orElseSucceed(files.fs.exists(folder), () => false)
    const machine = `${process.platform}-${process.arch}`
    if (!isThere && machine !== PLATFORM) {
      const detail = `${wheel} has no wheel for ${machine}`
      return yield* new SetupError({ part: "wheel", detail, remedy: `use ${PLATFORM}, or another engine` })
    }
    const wanted = platform === "cpu" ? "plugin" : part ?? (yield* XlaCuda.usable)
    if (!isThere) {
      const temporary = yield* SetupCommand.workspace
      const wheels = yield* Wheels.fetch(temporary, PYTHON, [{ name: wheel, version, sha256, megabytes }], report)
      yield* files.writeFolder(folder, (fresh) => Wheels.install(fresh, wheels))
    }
    const added = yield* XlaCuda.add(folder, wanted, report)
    if (platform === "cuda" && wanted !== "all") yield* report(absent(wanted))
    return { library: `xla for ${platform}`, version, folder, fetched: !isThere || added }
  },
  Effect.scoped
)
