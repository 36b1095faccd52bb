/**
 * The engine of TensorFlow.js while a step is traced. It records the calls of kernels, so that a step can pause before each of them. It has
 * no scopes, because traced tensors have no memory.
 */
import * as tf from "@tensorflow/tfjs-core"
import { ARRAYS, type DType } from "../../shapes/HostTensor.ts"
import { plain } from "./BackendScope.ts"
import { Recording } from "./Recording.ts"

type Tensors = Readonly<Record<string, tf.Tensor>>

/** Computes the gradients of a call's inputs. */
type Gradients = (dy: tf.Tensor | Array<tf.Tensor>) => Readonly<Record<string, () => tf.Tensor>>

/** A call that gradients go through. */
interface Call {
  readonly name: string
  readonly inputs: Tensors
  readonly outputs: ReadonlyArray<tf.Tensor>
  readonly gradients: Gradients | undefined
}

/** A function with a gradient of its own, as TensorFlow.js passes it. */
interface Custom {
  readonly inputs: Tensors
  readonly forwardFunc: (backend: tf.KernelBackend, save: (tensors: Array<tf.Tensor>) => void) => tf.Tensor
  readonly backwardsFunc: (dy: tf.Tensor | Array<tf.Tensor>, saved: Array<tf.Tensor>) => ReturnType<Gradients>
}

/** The record of a step, and the calls since it began to compute a loss. There are none within kernels. */
export class StepRecording extends Recording {
  tape: Array<Call> | undefined = undefined

  override restart(): void {
    super.restart()
    this.tape = undefined
  }
}

/** A backend that records a step. */
export interface Backend extends tf.KernelBackend {
  readonly recording: StepRecording
}

const engine = tf.engine()

const recorded = (): StepRecording => (engine.backend as Backend).recording

const runKernel = (name: string, inputs: Tensors, attributes: tf.NamedAttrMap): tf.Tensor | Array<tf.Tensor> => {
  const recording = recorded()
  return recording.kernel(name, () => {
    const kernel = tf.getKernel(name, engine.backendName)
    if (kernel === undefined) throw new Error(`Kernel '${name}' not registered for backend '${engine.backendName}'`)
    const made = kernel.kernelFunc({ inputs, attrs: attributes, backend: engine.backend })
    const outputs = [made].flat().map((info) => engine.makeTensorFromTensorInfo(info))
    if (recording.tape !== undefined) {
      const rule = tf.getGradient(name)
      const kept = rule?.saveAllInputs === true ? Object.keys(inputs) : rule?.inputsToSave ?? []
      const saved = [...kept.map((key) => inputs[key]!), ...outputs.filter((_, place) => rule?.outputsToSave?.[place])]
      recording.tape.push({ name, inputs, outputs, gradients: rule && ((dy) => rule.gradFunc(dy, saved, attributes)) })
    }
    return Array.isArray(made) ? outputs : outputs[0]!
  })
}

const runKernelFunc = ({ backwardsFunc, forwardFunc, inputs }: Custom): tf.Tensor => {
  const recording = recorded()
  const { tape } = recording
  let saved: Array<tf.Tensor> = []
  recording.tape = undefined
  const output = forwardFunc(engine.backend, (tensors) => void (saved = tensors))
  recording.tape = tape
  const call = {
    name: "a custom gradient",
    inputs,
    outputs: [output],
    gradients: (dy) => backwardsFunc(dy, saved)
  } satisfies Call
  recording.part(() => tape?.push(call))
  return output
}

/** Returns the calls by which `y` depends on `xs`, the last first, with the inputs that do. */
const between = (calls: ReadonlyArray<Call>, xs: ReadonlyArray<tf.Tensor>, y: tf.Tensor): ReadonlyArray<Call> => {
  const dependent = new Set(xs)
  const after = calls.filter(({ inputs, outputs }) => {
    const depends = Object.values(inputs).some((input) => dependent.has(input))
    if (depends) { for (const output of outputs) dependent.add(output) }
    return depends
  })
  const wanted = new Set([y])
  const before = after.toReversed().filter(({ inputs, outputs }) => {
    const leads = outputs.some((output) => wanted.has(output))
    if (leads) { for (const input of Object.values(inputs)) wanted.add(input) }
    return leads
  })
  return before.map((call) => ({
    ...call,
    inputs: Object.fromEntries(Object.entries(call.inputs).filter(([, input]) => dependent.has(input)))
  }))
}

type Sums = Map<tf.Tensor, tf.Tensor>

/** Returns the sums of gradients of a call's inputs after it. */
const through = ({ gradients, inputs, name, outputs }: Call, sums: Sums): Sums => {
  if (gradients === undefined) {
    throw new Error(`Cannot compute gradient: gradient function not found for ${name}.`)
  }
  const dys = outputs.map((output) => sums.get(output) ?? filled(output, 0))
  const found = gradients(dys.length > 1 ? dys : dys[0]!)
  const changed: Sums = new Map()
  for (const [key, input] of Object.entries(inputs)) {
    const dx = found[key]?.()
    if (dx?.dtype !== "float32" || !tf.util.arraysEqual(dx.shape, input.shape)) {
      throw new Error(
        `the gradient of ${name} has ${
          dx === undefined ? "nothing" : `${dx.dtype} [${dx.shape}]`
        } for ${key}, which is float32 [${input.shape}]`
      )
    }
    const sum = changed.get(input) ?? sums.get(input)
    changed.set(input, sum === undefined ? dx : engine.runKernel("Add", { a: sum, b: dx }))
  }
  return changed
}

const filled = ({ dtype, shape, size }: tf.Tensor, value: 0 | 1): tf.Tensor =>
  engine.makeTensor(new ARRAYS[dtype as DType](size).fill(value), shape, dtype)

const gradients = (f: () => tf.Tensor, xs: ReadonlyArray<tf.Tensor>, dy?: tf.Tensor, allowNoGradients = false) => {
  const recording = recorded()
  const outer = recording.tape
  recording.tape = outer ?? recording.part(() => [])
  const calls = recording.tape
  const value = f()
  recording.tape = outer
  const path = recording.part(() => between(calls, xs, value))
  if (!allowNoGradients && path.length === 0) {
    throw new Error("Cannot compute gradient of y=f(x) with respect to x. y does not depend on x.")
  }
  const sums = recording.part<Sums>(() => new Map([[value, dy ?? filled(value, 1)]]))
  // A pause comes before a kernel, and so leaves all sums of a call as they were, or all changed.
  recording.map(path, (call) => {
    for (const [x, sum] of through(call, sums)) sums.set(x, sum)
  })
  return { value, grads: xs.map((x) => sums.get(x)) }
}

const nothing = () => {}

/** The methods of the engine while a step is traced. */
export const methods: object = Object.assign(Object.create(plain), {
  runKernel,
  runKernelFunc,
  gradients,
  makeTensor: (...given: Parameters<typeof engine.makeTensor>) =>
    recorded().part(() => plain.makeTensor.apply(engine, given), "a constant"),
  readSync: (dataId: object) => engine.backend.readSync(dataId),
  read: (dataId: object) => engine.backend.read(dataId),
  startScope: nothing,
  endScope: nothing,
  trackTensor: nothing,
  disposeTensor: nothing
})
