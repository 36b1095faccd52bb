/** What the machine has for the measurement, and what it lacks. */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { cpus, totalmem } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import * as PluginFile from "../../src/layers/pjrt/PluginFile.ts"
import type { Command } from "./process.ts"

/** PyTorch and CUDA as a Python has them. */
interface Python {
  readonly version: string
  readonly torch: string | null
  readonly gpu: string | null
  /** Plugins of XLA for CUDA, and the folders of CUDA's libraries and of its compiler. */
  readonly plugins: ReadonlyArray<string>
  readonly libraries: ReadonlyArray<string>
}

const PROBE = `
import glob, json, platform, sys
found = {"version": platform.python_version(), "torch": None, "gpu": None, "plugins": [], "libraries": []}
for folder in sys.path:
    found["plugins"] += sorted(glob.glob(folder + "/jax_plugins/xla_cuda*/xla_cuda_plugin.so"), reverse=True)
    found["libraries"] += sorted(glob.glob(folder + "/nvidia/*/lib"))
try:
    import torch
    found["torch"] = torch.__version__
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
except Exception as error:
    print(repr(error), file=sys.stderr)
print(json.dumps(found))
`

/** Asks a Python what it has; undefined if it does not run. */
const python = (command: string): Python | undefined => {
  const { status, stdout } = spawnSync(command, ["-c", PROBE], { encoding: "utf8" })
  return status === 0 ? JSON.parse(stdout.trim().split("\n").at(-1)!) : undefined
}

const SYSTEM = ["/usr/local/cuda/lib64", "/usr/local/cuda/extras/CUPTI/lib64"]

const joined = (folders: ReadonlyArray<string>, before: string | undefined): string =>
  [...folders, ...(before === undefined || before === "" ? [] : [before])].join(delimiter)

/** What is found on a machine. */
export interface Machine {
  readonly python: string
  readonly about: Python | undefined
  readonly plugin: string | undefined
  /** Variables with which XLA finds the libraries of CUDA. */
  readonly environment: Readonly<Record<string, string>>
}

/** Looks for PyTorch, for a plugin of XLA and for the libraries of CUDA. The plugin that is named comes first, then the installed one. */
export const find = async (
  device: "cpu" | "cuda",
  pythons: ReadonlyArray<string>,
  named: string | undefined
): Promise<Machine> => {
  const all = pythons.map((command) => ({ python: command, about: python(command) }))
  const good = (part: "gpu" | "torch" | "version") => all.find(({ about }) => about != null && about[part] !== null)
  const chosen = (device === "cuda" ? good("gpu") : undefined) ?? good("torch") ?? good("version") ?? all[0]!
  const installed = await Effect.runPromise(PluginFile.cached(device))
  const { libraries = [], plugins = [] } = chosen.about ?? {}
  const own = device === "cuda" ? plugins : []
  const plugin = named ?? [installed, ...own].find((file) => existsSync(file))
  const folders = [...libraries, ...SYSTEM.filter((folder) => existsSync(folder))]
  // A plugin that was set up for a GPU has its own libraries beside it.
  const whole = plugin === undefined ||
    existsSync(join(dirname(plugin), "../../nvidia/cu13/lib")) && plugin === installed
  // Libraries of PyTorch lie in nvidia/cu13/lib, and its compiler, if it is there, in nvidia/cu13.
  const toolkit = [process.env["CUDA_HOME"], "/usr/local/cuda", ...libraries.map((folder) => dirname(folder))]
    .find((folder) => folder !== undefined && existsSync(join(folder, "nvvm/libdevice/libdevice.10.bc")))
  const flags = process.env["XLA_FLAGS"] ?? ""
  const environment: Readonly<Record<string, string>> = device === "cpu" || whole ? {} : {
    LD_LIBRARY_PATH: joined(folders, process.env["LD_LIBRARY_PATH"]),
    ...(toolkit === undefined ? {} : { XLA_FLAGS: `${flags} --xla_gpu_cuda_data_dir=${toolkit}`.trim() })
  }
  return { ...chosen, plugin, environment }
}

/** Describes the machine for the results. */
export const about = ({ about, plugin, python }: Machine) => ({
  processor: cpus()[0]?.model,
  cores: cpus().length,
  gigabytes: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  python: about === undefined ? undefined : `${python} ${about.version}`,
  torch: about?.torch,
  plugin
})

const FLAGS = ["--disable-warning=ExperimentalWarning"]

/** The command of `step.ts`. */
export const ours = (
  { environment, plugin }: Machine,
  given: Readonly<Record<string, unknown>> & { readonly engine: string }
): Command => ({
  command: process.execPath,
  args: [
    ...FLAGS,
    fileURLToPath(new URL("step.ts", import.meta.url)),
    JSON.stringify({ ...given, watched: true, ...(plugin === undefined ? {} : { plugin }) })
  ],
  // TensorFlow brings other versions.
  environment: given.engine === "xla" ? environment : {}
})

/** The command of `peer.py`. */
export const theirs = ({ python }: Machine, given: object): Command => ({
  command: python,
  args: [fileURLToPath(new URL("../peer.py", import.meta.url)), JSON.stringify({ ...given, watched: true })]
})
