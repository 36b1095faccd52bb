/** GPUs that need not be there: programs are compiled for them, but do not run. */
import { Effect, Result } from "effect"
import * as Files from "../files/Files.ts"
import * as Card from "./Card.ts"
import * as Client from "./Client.ts"
import type { CompileOptions } from "./CompileOptions.ts"
import * as Executable from "./Executable.ts"
import { Handles } from "./Handles.ts"
import * as HloModule from "./HloModule.ts"
import * as Launches from "./Launches.ts"
import { attempt, type PjrtError, PluginUnavailable } from "./PjrtError.ts"
import * as Plugin from "./Plugin.ts"
import * as PluginFile from "./PluginFile.ts"

/** GPUs of a kind, one on each of several hosts. */
export interface Topology {
  readonly plugin: Plugin.Plugin
  readonly pointer: bigint
  readonly handles: Handles
}

/** What a compiled program asks of the GPU. */
export interface Demand extends Launches.Launches {
  readonly memory: Executable.Memory
}

/** Describes cards to a plugin, one on each host. All that is compiled for them is freed when the scope closes. Fails with `PjrtError`. */
export const open = Effect.fnUntraced(function*(plugin: Plugin.Plugin, card: Card.Card, hosts = 1) {
  const handles = new Handles(plugin)
  const name = Buffer.from(card.name)
  const given = Client.named({ target_config: Card.describe(card), topology: `1x${hosts}x1` })
  const pointer = yield* Effect.acquireRelease(
    attempt(() => plugin.call("PJRT_TopologyDescription_Create", { name, nameLength: name.length, ...given }).topology),
    (topology) =>
      Effect.sync(() => {
        handles.close()
        plugin.call("PJRT_TopologyDescription_Destroy", { topology })
      })
  )
  const topology: Topology = { plugin, pointer, handles }
  return topology
})

/** The programs and libraries of CUDA's compiler that XLA needs, beside the plugin. */
const COMPILER = ["nvidia/cu13/bin/ptxas", "nvidia/cu13/nvvm/libdevice/libdevice.10.bc"]

/**
 * Describes a card to the plugin that `patchword setup xla` installs. Fails with `PluginUnavailable` if it or CUDA's compiler is not there,
 * and with `PjrtError`.
 */
export const ofCard = Effect.fnUntraced(function*(card: Card.Card, hosts = 1) {
  const { fs, path: { join } } = yield* Files.make
  const folder = yield* PluginFile.folder("cuda")
  const plugin = join(folder, PluginFile.PLUGINS.cuda.library)
  for (const file of [plugin, ...COMPILER.map((name) => join(folder, name))]) {
    if (yield* Effect.orElseSucceed(fs.exists(file), () => false)) continue
    const remedy = "run \"patchword setup xla --platform cuda --part compiler\""
    return yield* new PluginUnavailable({ file: plugin, problem: `there is no ${file}`, remedy })
  }
  return yield* open(yield* Plugin.load(plugin), card, hosts)
})

/** Without a device the compiler cannot try kernels, and chooses them by rules. */
const UNTRIED = { xla_gpu_autotune_level: 0n } as const

/** Compiles the text of a StableHLO module for the GPU, and tells what it asks. Fails with `PjrtError`. */
export const demand = (
  topology: Topology,
  text: string,
  { flags, ...options }: CompileOptions = {}
): Effect.Effect<Demand, PjrtError> => {
  const { handles, plugin, pointer } = topology
  const compiled = handles.attempt(() => {
    const given = { topology: pointer, ...Executable.source(text, { ...options, flags: { ...UNTRIED, ...flags } }) }
    return { about: handles.own("executable", plugin.call("PJRT_Compile", given).executable) }
  })
  return Effect.acquireUseRelease(
    compiled,
    (executable) =>
      attempt(() => ({
        ...Launches.count(HloModule.decode(Executable.optimised(topology, executable))),
        memory: Result.getOrThrow(Executable.memory(topology, executable))
      })),
    ({ about }) => Effect.sync(() => handles.free(about))
  )
}
