import { assert } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../src/shapes/Step.ts"
import * as Tensor from "../../src/shapes/Tensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import * as Golden from "./golden.ts"

tf.env().set("PROD", true)
await tf.setBackend("cpu")

export interface Bound {
  readonly relative: number
  readonly absolute?: number
}

export const close = (
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute, relative }: Bound
) => {
  assert.strictEqual(actual.length, expected.length, what)
  const values = Array.from(expected)
  const rms = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length)
  const worst = values.reduce((most, x, i) => Math.max(most, Math.abs(x - actual[i]!)), 0)
  assert.isTrue(Array.from(actual).every(Number.isFinite), `${what} is finite`)
  assert.isAtMost(worst, Math.max(relative * rms + 1e-7, absolute ?? 0), what)
}

export const fixture = (name: string) => {
  const tensor = Golden.tensors(name)
  const { config, info, tolerance, tolerance_exceptions } = Golden.json(name)
  const bound = (key: string): Bound => {
    const absolute = tolerance_exceptions?.[key]?.tolerance_abs
    return {
      relative: tolerance[key.split("/")[0]!].rel_to_rms,
      ...(absolute === undefined ? {} : { absolute })
    }
  }
  const keys = (group: string): Array<string> =>
    Golden.keys(name).filter((key) => key.startsWith(`${group}/`)).map((key) => key.slice(group.length + 1)).toSorted()
  const numbers = (key: string): Float32Array => Float32Array.from(tensor(key).data)
  return {
    config,
    info,
    keys,
    tensor,
    numbers,
    matches: (key: string, actual: { readonly data: ArrayLike<number> }, arranged = (values: Float32Array) => values) =>
      close(key, actual.data, arranged(numbers(key)), bound(key)),
    bound
  }
}

export type Fixture = ReturnType<typeof fixture>

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }

export const filled = <T>(spec: object, valuesOf: (path: string) => ArrayLike<number>): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, ({ dtype, shape }, path) => {
    const data = arrays[dtype as HostTensor.DType].from(valuesOf(path))
    assert.strictEqual(data.length, shape.reduce((a, b) => a * b, 1), path)
    return { shape, dtype, data }
  })

const upload = <T>(tree: object): T =>
  Tree.map<T>(tree, (leaf) => {
    const { data, dtype, shape } = leaf as HostTensor.Any
    return tf.tensor(data.slice(), [...shape], dtype)
  })

export const download = <T>(tree: object): HostOf<T> =>
  Tree.map<HostOf<T>>(tree, (leaf) => {
    const tensor = Tensor.untyped(leaf as Tensor.Any)
    return { shape: tensor.shape, dtype: tensor.dtype, data: tensor.dataSync().slice() }
  })

export const eagerly = <I extends object, O extends object>(inputs: HostOf<I>, run: (inputs: I) => O): HostOf<O> => {
  const before = tf.memory().numTensors
  tf.engine().startScope("eager")
  const outputs = download<O>(run(upload<I>(inputs)))
  tf.engine().endScope()
  assert.strictEqual(tf.memory().numTensors, before, "tensors left behind")
  return outputs
}

export const train = <S, B, M>(step: TrainStep<S, B, M>, state: HostOf<S>, batch: HostOf<B>) =>
  eagerly<{ readonly state: S; readonly batch: B }, { readonly metrics: M; readonly state: S }>(
    { state, batch } as HostOf<{ readonly state: S; readonly batch: B }>,
    (inputs) => step.run(inputs.state, inputs.batch)
  ) as { readonly metrics: HostOf<M>; readonly state: HostOf<S> }

export const infer = <W, B, O extends object>(inference: Inference<W, B, O>, weights: HostOf<W>, batch: HostOf<B>) =>
  eagerly<{ readonly weights: W; readonly batch: B }, O>(
    { weights, batch } as HostOf<{ readonly weights: W; readonly batch: B }>,
    (inputs) => inference.run(inputs.weights, inputs.batch)
  )

export const names = (spec: object): ReadonlyArray<string> => Tree.leaves(spec).map(([path]) => path).toSorted()

export const leaves = (tree: object): ReadonlyArray<readonly [string, HostTensor.Any]> =>
  Tree.leaves<HostTensor.Any>(tree)
