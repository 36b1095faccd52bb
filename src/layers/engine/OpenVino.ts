/** Runs compiled programs on OpenVINO in a worker thread. */
import { Config, Effect, Option } from "effect"
import { globSync } from "node:fs"
import { join } from "node:path"
import * as OnnxProgram from "../../compiler/programs/OnnxProgram.ts"
import * as Caches from "../files/Caches.ts"
import { physicalCores } from "../machine/Processor.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, PrecisionUnavailable, ProviderUnavailable } from "./EngineError.ts"
import type { Options } from "./OpenVinoWorker.ts"
import * as Thread from "./Thread.ts"

/** Options of `layerOpenVino`. */
export interface OpenVinoOptions {
  /**
   * Folder with OpenVINO's libraries (`libopenvino_c`). By default these are tried in order: the folder that
   * `patchword setup openvino` makes, the folders in `INTEL_OPENVINO_DIR` and in the Python environment `VIRTUAL_ENV`, and the
   * system's own search.
   */
  readonly library?: string
  /** Number of threads of one operator; default all physical cores. */
  readonly threads?: number
  /**
   * Precision of matrix products and of the operators between them; default `fp32`. The state, its update, and all inputs
   * and outputs are always fp32. `bf16` needs a processor with bf16 arithmetic (AMX, AVX-512 BF16).
   */
  readonly precision?: "fp32" | "bf16"
}

const REMEDY =
  "run \"patchword setup openvino\", or install it with \"pip install openvino\" and give the package's folder " +
  "openvino/libs in the option library"

/** The version that `patchword setup openvino` installs. */
export const VERSION = "2026.4.1"

const variable = (name: string) => Effect.map(Effect.orDie(Config.option(Config.String(name))), Option.toArray)

/** The folder of `patchword setup openvino`, in the user's folder of caches. */
export const cached = Caches.folder(`openvino-${VERSION}`)

/** Default folders: that of the setup, OpenVINO's own (`setupvars`), and the present Python environment's. */
const usual = Effect.gen(function*() {
  const archives = yield* variable("INTEL_OPENVINO_DIR")
  const environments = yield* variable("VIRTUAL_ENV")
  return [
    yield* cached,
    ...archives.flatMap((folder) => globSync(["runtime/lib/*", "runtime/bin/*/Release"].map((at) => join(folder, at)))),
    ...environments.flatMap((folder) => globSync(join(folder, "[Ll]ib/{,python3*/}site-packages/openvino/libs")))
  ]
})

/** Makes an engine on its own worker thread. */
export const make = Effect.fnUntraced(function*(options: OpenVinoOptions) {
  const { library, precision = "fp32", threads = physicalCores() } = options
  const folders = library === undefined ? yield* usual : [library]
  const settings: Options = { folders, system: library === undefined, precision, threads }
  const call = yield* Thread.start(Thread.file("OpenVinoWorker"), settings)
  const unavailable = (reason: ProviderUnavailable | PrecisionUnavailable) =>
    new EngineError({ program: "start", reason })
  const about = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason: { message: detail } }) =>
      unavailable(new ProviderUnavailable({ provider: "openvino", detail, remedy: REMEDY }))
    )
  )
  const name = `openvino ${about.version}`
  if (!about.precisions.includes(precision)) {
    const detail = `${name} has no ${precision} arithmetic on this processor`
    return yield* unavailable(new PrecisionUnavailable({ precision, detail, remedy: "choose \"fp32\"" }))
  }
  return CompiledEngine.make(call, {
    name: `${name} ${precision}`,
    about: { ...about, engine: "openvino", precision },
    // OpenVINO's order of operators allows reads of a state after its update, so updates in place are not safe.
    trainStep: (step) => CompiledEngine.outOfPlace(OnnxProgram.compiling(step, { external: true })),
    inference: OnnxProgram.compilingInference
  })
})
