/** Runs steps on XLA in a worker thread, through a plugin of PJRT. */
import { Duration, Effect } from "effect"
import { existsSync } from "node:fs"
import { serialize } from "node:v8"
import * as InParts from "../../compiler/graph/InParts.ts"
import type { Program } from "../../compiler/programs/Program.ts"
import * as XlaProgram from "../../compiler/programs/XlaProgram.ts"
import * as Caches from "../files/Caches.ts"
import * as CompiledPrograms from "../files/CompiledPrograms.ts"
import * as Files from "../files/Files.ts"
import * as LongWork from "../files/LongWork.ts"
import * as Processor from "../machine/Processor.ts"
import type { CompileOptions } from "../pjrt/CompileOptions.ts"
import * as PluginFile from "../pjrt/PluginFile.ts"
import type { CollectivesOrigin } from "../ranks/Collectives.ts"
import * as Check from "./Check.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import {
  CollectivesUnavailable,
  EngineError,
  noRanks,
  PrecisionUnavailable,
  ProviderUnavailable
} from "./EngineError.ts"
import * as Thread from "./Thread.ts"
import type { Options } from "./XlaWorker.ts"

/** Options of `layerXla`. */
export interface XlaOptions {
  /** The kind of devices; default `cpu`. */
  readonly platform?: PluginFile.Platform
  /** The file of a plugin of PJRT. By default it is the one that `patchword setup xla` installs for the platform. */
  readonly plugin?: string
  /**
   * Precision of matrix products; default `fp32`, also on a GPU. `tf32` is for NVIDIA's GPUs since Ampere. In `bf16` the values
   * between products are bf16, too, by the rules of PyTorch's autocast (`Autocast`). The state, its update, norms, losses and
   * lookups of codes are always fp32.
   */
  readonly precision?: "fp32" | "tf32" | "bf16"
  /**
   * The number of devices that train together, each on its share of the batch; default 1. Inferences run on the first. With the platform
   * `cpu` they are parts of one processor, for tests.
   */
  readonly devices?: number
  /** The share of a GPU's memory that XLA may take; default 0.75, by XLA. It takes memory as it needs it. */
  readonly memoryFraction?: number
  /**
   * Forbids a GPU all that makes two runs differ: sums in any order, and the choice among algorithms by their measured speed. Steps
   * are slower then. A processor gives the same bytes without it. Default false.
   */
  readonly deterministic?: boolean
  /**
   * The connection of this engine to the other ranks, each of which trains on its share of the batch with one device; default that
   * of the present ranks (`Ranks`).
   */
  readonly ranks?: CollectivesOrigin | undefined
  /**
   * Where values are summed over all ranks: on the host (default), or inside of the program, by NCCL, from GPU to GPU. The latter is for
   * ranks of MPI with NVIDIA's GPUs, each of which takes the first GPU that it sees. No machine with several GPUs has run it yet.
   */
  readonly collectives?: "host" | "inside"
}

/** The number of the next store of keys and values. All ranks open their engines in the same order. */
let stores = 0

/** Returns what the thread needs for collectives inside of programs. Fails with `CollectivesUnavailable`. */
const insideOf = (
  platform: PluginFile.Platform,
  ranks: CollectivesOrigin | undefined
): Effect.Effect<Options["inside"], EngineError> => {
  const refused = (problem: string) =>
    Effect.fail(new EngineError({ program: "start", reason: new CollectivesUnavailable({ problem }) }))
  if (platform === "cpu") return refused("XLA's plugin for processors does not have them")
  if (ranks === undefined) return refused("there is one rank")
  return ranks.kind === "mpi"
    ? Effect.sync(() => ({ ranks, store: stores++ }))
    : refused("the ranks are threads of one process")
}

// The program itself says which memory its results take.
const program = ({ result, ...compiled }: XlaProgram.XlaProgram): Program => ({
  bytes: new Uint8Array(serialize(compiled)),
  result,
  updates: [],
  adamw: []
})

/** Programs that compile in less time are not worth a file in the user's cache. */
const WORTH = Duration.seconds(1)

/** Returns how programs are opened: with their compiled form from the disk, which is kept there if it is new. */
const opening = (
  call: CompiledEngine.Call,
  cache: string,
  engine: CompiledPrograms.Origin
) => {
  const open: CompiledEngine.Open = Effect.fnUntraced(function*(program, ask, buffers) {
    const folders = [...(yield* CompiledPrograms.Folders), cache]
    const origin = { ...engine, program: Files.sha256(ask.model) }
    const { lacking, program: compiled } = yield* CompiledPrograms.find(folders, origin)
    if (compiled !== undefined) yield* CompiledPrograms.keep(lacking, origin, compiled)
    const [took, answer] = yield* call(program, "open", { ...ask, ...(compiled && { compiled }) }, buffers).pipe(
      LongWork.told(`XLA compiles ${program}`),
      Effect.timed
    )
    if (answer.refused !== undefined) {
      yield* Effect.logWarning(
        `${program}: XLA cannot load its compiled program (${answer.refused}). It was compiled again`
      )
    }
    if (answer.compiled !== undefined) {
      const isWorth = Duration.isGreaterThanOrEqualTo(took, WORTH) || folders[lacking.length] === cache
      yield* CompiledPrograms.keep(folders.slice(0, isWorth ? undefined : -1), origin, answer.compiled)
    }
    return answer
  }, Effect.provide(Files.layerNode))
  return open
}

/** Makes an engine on its own worker thread. */
export const make = Effect.fnUntraced(function*(options: XlaOptions) {
  const { collectives = "host", deterministic = false, devices = 1, memoryFraction, plugin } = options
  const { platform = "cpu", precision = "fp32" } = options
  const ranks = options.ranks?.size === 1 ? undefined : options.ranks
  if (ranks !== undefined && devices > 1) return yield* noRanks(`xla with ${devices} devices`)
  const inside = collectives === "inside" ? yield* insideOf(platform, ranks) : undefined
  const file = plugin ?? (yield* PluginFile.cached(platform))
  const unavailable = (detail: string) =>
    new EngineError({
      program: "start",
      reason: new ProviderUnavailable({
        provider: `xla ${platform}`,
        detail,
        remedy: `run "patchword setup xla --platform ${platform}", name the file of a plugin in the option plugin` +
          (devices === 1 ? "" : ", or ask for fewer devices")
      })
    })
  if (!(Number.isSafeInteger(devices) && devices > 0)) return yield* unavailable(`there are no ${devices} devices`)
  const cache = yield* Caches.folder("xla-programs")
  // The flag also turns off the choice among algorithms by their speed.
  const compiler: CompileOptions = platform === "cpu"
    // Otherwise the largest number of a row with NaN is a number.
    ? { flags: { xla_cpu_enable_fast_min_max: false } }
    : deterministic
    ? { flags: { xla_gpu_deterministic_ops: true } }
    : {}
  const given: Options = {
    file,
    devices,
    options: {
      ...(platform === "cpu" ? {} : { preallocate: false }),
      ...(platform === "cpu" && devices > 1 ? { cpu_device_count: BigInt(devices) } : {}),
      ...(memoryFraction === undefined ? {} : { memory_fraction: memoryFraction })
    },
    compiler,
    ranks,
    inside
  }
  // A survey of engines starts no thread for what is not installed.
  if (!existsSync(file)) return yield* unavailable(`there is no plugin ${file}`)
  const call = yield* Thread.start(Thread.file("XlaWorker"), given)
  const about = yield* Effect.mapError(
    call("start", "start", undefined),
    (error) => error.reason instanceof CollectivesUnavailable ? error : unavailable(error.reason.message)
  )
  if (!about.precisions.includes(precision)) {
    const detail = `XLA has no ${precision} on ${platform} here; tf32 is for NVIDIA's GPUs since Ampere`
    return yield* new EngineError({
      program: "start",
      reason: new PrecisionUnavailable({ precision, detail, remedy: "choose \"fp32\" or \"bf16\"" })
    })
  }
  const origin: CompiledPrograms.Origin = {
    // pip has checked the digest of the plugin that the setup installs.
    plugin: plugin === undefined ? PluginFile.PLUGINS[platform].sha256 : yield* Effect.orDie(Files.version(file)),
    runtime: about.version,
    compiler: JSON.stringify(compiler, (_, flag: unknown) => typeof flag === "bigint" ? String(flag) : flag),
    // A GPU's programs do not depend on the processor.
    ...(platform === "cpu" && { processor: Processor.description() })
  }
  const service = CompiledEngine.make(call, {
    open: opening(call, cache, origin),
    ahead: 1,
    devices,
    place: ranks,
    name: `xla ${about.version} ${precision}${devices === 1 ? "" : `, ${devices} devices`}${
      ranks === undefined ? "" : `, rank ${ranks.rank} of ${ranks.size}`
    }${inside === undefined ? "" : ", collectives inside"}`,
    about: {
      ...about,
      engine: `xla ${platform}`,
      precision,
      ...(devices === 1 ? {} : { devices }),
      ...(ranks === undefined ? {} : { ranks: ranks.size }),
      ...(inside === undefined ? {} : { collectives: "inside" as const })
    },
    trainStep: (step) =>
      InParts.map(XlaProgram.compiling(step, { precision, devices, place: ranks, collectives }), program),
    inference: (inference) => InParts.map(XlaProgram.compilingInference(inference, { precision }), program)
  })
  return { ...service, load: Check.noForeignModels }
})
