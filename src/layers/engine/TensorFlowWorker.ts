/** The worker thread of TensorFlow. It holds graphs and their states, and takes one call at a time. */
import * as tf from "@tensorflow/tfjs-core"
import koffi from "koffi"
import { availableParallelism } from "node:os"
import util from "node:util"
import { workerData } from "node:worker_threads"
import { roundsToBf16 } from "../machine/Processor.ts"
import type { Answer } from "./Protocol.ts"
import { serve } from "./Serve.ts"
import * as TensorFloat32 from "./TensorFloat32.ts"
import * as TensorFlowSession from "./TensorFlowSession.ts"

/** The properties that the packages' backend has. */
interface Backend {
  readonly binding: TensorFlowSession.Binding & { readonly TF_Version: string }
  readonly isUsingGpuDevice: boolean
}

const { packages, precision } = workerData as {
  readonly packages: ReadonlyArray<string>
  readonly precision: "fp32" | "tf32" | "bf16"
}
const why = (name: string, cause: unknown): string => {
  if (!(cause instanceof Error)) return `${name}: ${cause}`
  const missing = "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
  return missing ? `${name} is not installed` : `${name} does not load: ${cause.message.split("\n")[0]!.trim()}`
}

const backend = (): Backend => tf.backend() as object as Backend

/** Tests whether matrix products are rounded more than in fp32: tf32 has 10 bits of the fraction, bf16 has 7. */
const isRounding = (): boolean => {
  const side = 1024
  const exact = 1 + 2 ** (precision === "bf16" ? -10 : -12)
  const [first] = tf.tidy(() => tf.matMul(tf.fill([side, side], exact), tf.eye(side)).dataSync())
  return first !== exact
}

const start = async (): Promise<Answer<"start">> => {
  // TensorFlow.js would print an advertisement.
  tf.env().set("PROD", true)
  // The packages call functions that Node 23 removed and Node 22 warns about.
  Object.assign(util, {
    isArray: Array.isArray,
    isNullOrUndefined: (value: unknown) => value === null || value === undefined
  })
  // Node keeps a copy of the environment for each worker; the library reads the process's own.
  if (process.platform === "linux") {
    const set = koffi.load(null).func("int setenv(str name, str value, int overwrite)")
    set("TF_SET_ONEDNN_FPMATH_MODE", precision === "bf16" ? "BF16" : "", 1)
    // TensorFlow's lines about the processor are unwanted, unless the user has set the variable.
    set("TF_CPP_MIN_LOG_LEVEL", "2", 0)
    // By default, TensorFlow uses oneDNN on newer processors alone. It is also faster on older ones.
    set("TF_ENABLE_ONEDNN_OPTS", "1", precision === "bf16" ? 1 : 0)
    TensorFloat32.setVariable(precision === "tf32")
  }
  const failures: Array<string> = []
  for (const name of packages) {
    if (tf.getBackend() === "tensorflow") break
    // If one does not load, the next is tried.
    await import(name).catch((cause: unknown) => failures.push(why(name, cause)))
  }
  if (tf.getBackend() !== "tensorflow") throw new Error(failures.join("; "))
  const { binding, isUsingGpuDevice } = backend()
  if (isUsingGpuDevice && process.platform === "linux") TensorFloat32.turnSwitch(precision === "tf32")
  const rounded = isUsingGpuDevice
    ? { tf32: TensorFloat32.isOffered(), bf16: false }
    : { tf32: false, bf16: roundsToBf16() }
  // Only the precision that was requested can be measured. A processor never rounds fp32.
  const holds = precision === "fp32" ? !isUsingGpuDevice || !isRounding() : isRounding()
  return [{
    version: `${binding.TF_Version} ${isUsingGpuDevice ? "gpu" : "cpu"}`,
    threads: availableParallelism(),
    precisions: (["fp32", "tf32", "bf16"] as const)
      .filter((one) => one === "fp32" || rounded[one])
      .filter((one) => one !== precision || holds)
  }]
}

let known: ReturnType<typeof TensorFlowSession.handlers> | undefined

// The library exists when `start` has loaded it.
const sessions = () => known ??= TensorFlowSession.handlers(backend().binding)

serve({
  start,
  open: (ask) => sessions().open(ask),
  run: (ask) => sessions().run(ask),
  read: (ask) => sessions().read(ask),
  close: (ask) => sessions().close(ask),
  memory: (ask) => sessions().memory(ask)
})
