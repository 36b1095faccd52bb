/**
 * A TensorFlow.js backend that computes nothing. Its kernels compute shapes and emit operators. It records a step, forward and
 * backward, as fast as JavaScript can call it.
 */
// Small constants are folded by the kernels that this registers.
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { type DType, size } from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { InParts } from "../graph/InParts.ts"
import { NotTraceable, Tracer } from "../kernels/Tracer.ts"
import * as Translations from "../kernels/Translations.ts"
import * as BackendScope from "./BackendScope.ts"
import { PAUSED } from "./Recording.ts"
import * as TraceEngine from "./TraceEngine.ts"

const FOLDED_UP_TO = 65_536

class TraceBackend extends tf.KernelBackend {
  tracer = new Tracer()
  /** The record of the step's parts (`Step.part`). */
  recording = new TraceEngine.StepRecording()

  /** The number of devices that will run the step together (`Collective.size`). */
  get devices(): number {
    return this.tracer.devices
  }
  override write(values: tf.BackendValues | null, shape: Array<number>, dtype: tf.DataType): object {
    return this.tracer.constant((values ?? []) as ArrayLike<number>, shape, dtype as DType).dataId
  }
  override readSync(dataId: object): tf.BackendValues {
    throw this.refusal(dataId)
  }
  // Nobody waits for the promise while a step is traced, so its failure would never be seen.
  override read(dataId: object): Promise<tf.BackendValues> {
    this.tracer.refusal = this.refusal(dataId)
    return new Promise(() => {})
  }
  private refusal(dataId: object): NotTraceable {
    const { shape } = this.tracer.valueOf({ dataId, shape: [], dtype: "float32" })
    return new NotTraceable(
      `a step asked for the values of a tensor of shape ${ShapeError.show(shape)}; there are none while it is traced ` +
        "(no dataSync, data, array or print, and no branch on a tensor)"
    )
  }
  override move(): void {
    throw new NotTraceable("a tensor was made outside the step; pass it in with the batch or the state")
  }
  override floatPrecision(): 32 {
    return 32
  }
  override epsilon(): number {
    return 1e-7
  }
  override memory(): { unreliable: boolean } {
    return { unreliable: true }
  }
  override timerAvailable(): boolean {
    return false
  }
  override dispose(): void {}
}

interface CpuBackend extends tf.KernelBackend {
  readonly makeTensorInfo: (shape: ReadonlyArray<number>, dtype: string, values: unknown) => tf.TensorInfo
  readonly data: { readonly get: (id: object) => { readonly values: ArrayLike<number> } }
}

// Small constants are computed now, on the cpu backend, rather than by every run of the program.
const folded = (
  name: string,
  tracer: Tracer,
  inputs: tf.NamedTensorInfoMap,
  attributes: tf.NamedAttrMap | undefined,
  emitted: Translations.Emitted | undefined
): Translations.Emitted | undefined => {
  const given = Object.entries(inputs).flatMap(([key, x]) => (x === undefined ? [] : [[key, x] as const]))
  // Most kernels have an operand that is computed, so this comes first.
  if (!given.every(([, x]) => tracer.contents(x) !== undefined)) return undefined
  const kernel = tf.getKernel(name, "cpu")
  const isSmall = [...given.map(([, x]) => x), ...[emitted ?? []].flat()].every((x) => size(x.shape) <= FOLDED_UP_TO)
  if (kernel === undefined || !isSmall) return undefined
  const cpu = tf.engine().findBackend("cpu") as CpuBackend
  const uploaded = given.map(([key, x]) => [key, cpu.makeTensorInfo(x.shape, x.dtype, tracer.elements(x))] as const)
  const result = kernel.kernelFunc({
    // TensorFlow.js types lists of tensors as records of tensors.
    inputs: (Array.isArray(inputs)
      ? uploaded.map(([, x]) => x)
      : Object.fromEntries(uploaded)) as tf.NamedTensorInfoMap,
    backend: cpu,
    ...(attributes === undefined ? {} : { attrs: attributes })
  })
  const constants = [result].flat().map((x) =>
    tracer.constant(cpu.data.get(x.dataId).values, x.shape, x.dtype as DType)
  )
  for (const x of [...uploaded.map(([, info]) => info), ...[result].flat()]) cpu.disposeData(x.dataId)
  return Array.isArray(result) ? constants : constants[0]
}

// These cost nothing until an operator needs their result.
const LAZY = new Set(["Identity", "Reshape", "ExpandDims", "Squeeze", "Fill", "ZerosLike", "OnesLike", "Cast"])

const register = (backendName: string, fusion: Translations.Fusion): void => {
  // TensorFlow.js would advertise its other packages on the console when the cpu backend folds a constant.
  tf.env().set("PROD", true)
  tf.registerBackend(backendName, () => new TraceBackend(), 0)
  const known = tf.getKernelsForBackend("cpu").map(({ kernelName }) => kernelName)
  const translations = Translations.of(fusion)
  for (const kernelName of new Set([...known, ...Object.keys(translations)])) {
    const translate = translations[kernelName]
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ attrs, backend, inputs }) => {
        const { tracer } = backend as TraceBackend
        const emitted = translate?.(tracer, inputs, attrs ?? {})
        const result = LAZY.has(kernelName) ? emitted : folded(kernelName, tracer, inputs, attrs, emitted) ?? emitted
        if (result === undefined) throw Translations.untranslated(kernelName, Object.values(inputs))
        return result
      }
    })
  }
}

/** Returns the tensor of a traced value. */
export type TensorOf = (info: tf.TensorInfo) => tf.Tensor

/**
 * Runs `body` in parts on the tracing backend, which is the global one during a part only. `body` is pure: it is called again after each
 * pause. `declare` makes its argument.
 */
export function* run<G, A>(
  fusion: Translations.Fusion,
  tracer: Tracer,
  declare: (tensorOf: TensorOf) => G,
  body: (given: G) => A
): InParts<A> {
  const engine = tf.engine()
  // Fused kernels that a backend lacks are made of plain ones.
  const name = `patchword-trace-${fusion}`
  if (engine.findBackendFactory(name) === null) {
    register(name, fusion)
    yield
  }
  const backend = engine.findBackend(name) as TraceBackend
  const recording = new TraceEngine.StepRecording()
  const within = function*<B>(compute: () => B): InParts<B> {
    for (;;) {
      // A step that compiles another one goes on with its own trace.
      const outer = { tracer: backend.tracer, recording: backend.recording }
      const result = BackendScope.run<B | undefined>(name, () => {
        Object.assign(backend, { tracer, recording })
        recording.restart()
        return compute()
      }, {
        methods: TraceEngine.methods,
        caught: (thrown) => {
          if (thrown !== PAUSED) throw thrown
          return undefined
        },
        last: () => void Object.assign(backend, outer)
      })
      if (tracer.refusal !== undefined) throw tracer.refusal
      if (!recording.isPaused) return result as B
      yield
    }
  }
  const given = yield* within(() => declare((info) => engine.makeTensorFromTensorInfo(info)))
  yield
  return yield* within(() => body(given))
}
