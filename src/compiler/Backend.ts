/**
 * A TensorFlow.js backend that computes nothing: its kernels know shapes and emit operators. What a step does under it is
 * recorded, forward and backward, as fast as JavaScript can call it.
 */
import * as tf from "@tensorflow/tfjs"
import * as ShapeError from "../shapes/ShapeError.ts"
import * as Kernels from "./Kernels.ts"
import { NotTraceable, Tracer } from "./Tracer.ts"

const NAME = "patchword-trace"

const FOLDED_UP_TO = 65_536

class TraceBackend extends tf.KernelBackend {
  tracer = new Tracer()
  // Where the engine looks for data before it asks another backend for it.
  readonly data = { has: () => true }

  override write(values: tf.BackendValues | null, shape: Array<number>, dtype: tf.DataType): object {
    const numbers = values === null ? [] : Array.from(values as ArrayLike<number>)
    return this.tracer.constant(numbers, shape, dtype as "float32").dataId
  }
  override readSync(dataId: object): tf.BackendValues {
    return this.refuse(dataId)
  }
  override read(dataId: object): Promise<tf.BackendValues> {
    return this.refuse(dataId)
  }
  private refuse(dataId: object): never {
    const { shape } = this.tracer.valueOf({ dataId, shape: [], dtype: "float32" })
    throw new NotTraceable(
      `a step asked for the values of a tensor of shape ${ShapeError.show(shape)}; there are none while it is traced ` +
        "(no dataSync, data, array or print, and no branch on a tensor)"
    )
  }
  override move(): void {
    throw new NotTraceable("a tensor was made outside the step; pass it in with the batch or the state")
  }
  override refCount(dataId: object): number {
    return this.tracer.references(dataId)
  }
  override incRef(dataId: object): void {
    this.tracer.retain(dataId)
  }
  decRef(): void {}
  override disposeData(dataId: object, force = false): boolean {
    return this.tracer.release(dataId, force)
  }
  override numDataIds(): number {
    return this.tracer.held
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

// Small constants are computed now, on the cpu backend, rather than by every run of the program.
const folded = (
  name: string,
  tracer: Tracer,
  inputs: tf.NamedTensorInfoMap,
  attributes: tf.NamedAttrMap | undefined
): tf.TensorInfo | undefined => {
  const all = Object.values(inputs).filter((x) => x !== undefined)
  const cpu = tf.engine().findBackend("cpu") as tf.KernelBackend & {
    makeTensorInfo: (shape: ReadonlyArray<number>, dtype: string, values: unknown) => tf.TensorInfo
    data: { get: (id: object) => { values: ArrayLike<number> } }
  }
  const kernel = tf.getKernel(name, "cpu")
  if (kernel === undefined || cpu === null || all.length === 0 || name.startsWith("Patchword")) return undefined
  const values = all.map((x) =>
    x.shape.reduce((a, b) => a * b, 1) <= FOLDED_UP_TO ? tracer.elements(x) : undefined
  )
  if (values.some((v) => v === undefined)) return undefined
  const given = all.map((x, i) => cpu.makeTensorInfo(x.shape, x.dtype, values[i]))
  const named = Object.fromEntries(Object.keys(inputs).map((key, i) => [key, given[i]!]))
  const result = kernel.kernelFunc({
    inputs: Array.isArray(inputs) ? given as unknown as tf.NamedTensorInfoMap : named,
    backend: cpu,
    ...(attributes === undefined ? {} : { attrs: attributes })
  })
  if (Array.isArray(result)) return undefined
  const found = cpu.data.get(result.dataId).values
  const constant = tracer.constant(found, result.shape, result.dtype as "float32")
  for (const info of [...given, result]) cpu.disposeData(info.dataId)
  return constant
}

const LAZY = new Set(["Identity", "Reshape", "ExpandDims", "Squeeze", "Fill", "ZerosLike", "OnesLike", "Cast"])

const register = (): void => {
  // TensorFlow.js would advertise its other packages on the console when the cpu backend folds a constant.
  tf.env().set("PROD", true)
  tf.registerBackend(NAME, () => new TraceBackend(), 0)
  const known = tf.getKernelsForBackend("cpu").map(({ kernelName }) => kernelName)
  for (const kernelName of new Set([...known, ...Object.keys(Kernels.kernels)])) {
    const kernel = Kernels.kernels[kernelName]
    tf.registerKernel({
      kernelName,
      backendName: NAME,
      kernelFunc: ({ attrs, backend, inputs }) => {
        const { tracer } = backend as TraceBackend
        const constant = LAZY.has(kernelName) ? undefined : folded(kernelName, tracer, inputs, attrs)
        if (constant !== undefined) return constant
        if (kernel === undefined) throw Kernels.untranslated(kernelName, Object.values(inputs).filter((x) => x !== undefined))
        return kernel(tracer, inputs, attrs ?? {})
      }
    })
  }
}

/** The tensor of a traced value. */
export type TensorOf = (info: tf.TensorInfo) => tf.Tensor

/**
 * Runs `body` with the tracing backend in place, synchronously, and restores the backend that was there. Tensors made
 * meanwhile are gone afterwards, also when `body` throws.
 */
export const record = <A>(body: (tracer: Tracer, tensorOf: TensorOf) => A): A => {
  const engine = tf.engine()
  if (engine.findBackendFactory(NAME) === undefined || engine.findBackendFactory(NAME) === null) register()
  const previous = engine.backendName
  const backend = engine.findBackend(NAME) as TraceBackend
  backend.tracer = new Tracer()
  // Setting a backend that exists already is synchronous up to its promise.
  void tf.setBackend(NAME)
  engine.startScope("trace")
  const tensorOf = (info: tf.TensorInfo) => engine.makeTensorFromTensorInfo(info, backend)
  try {
    return body(backend.tracer, tensorOf)
  } finally {
    engine.endScope()
    if (previous !== undefined && previous !== "") void tf.setBackend(previous)
    backend.tracer = new Tracer()
  }
}
