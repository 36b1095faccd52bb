/**
 * Operations on all devices that run a step together, each on its share of the batch (`Step.Split`). On one device they do nothing. The
 * ranks of a job are such devices, too.
 *
 * Every device has the whole state and runs the same step. What comes from its share alone differs from device to device. A metric, a
 * gradient or a next state must not: it goes through one of these operations. `Gradient.valueAndGradient` does this for the loss and
 * its gradients. A compiler for several devices refuses a step that forgets it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Codes, Collective, HostTensor, Tensor } from "patchword/shapes"
 *
 * const codes = Tensor.constant(HostTensor.make([3], "int32", Int32Array.of(1, 0, 1)))
 * const counts = Collective.psum(Codes.countByCode(codes, 2))
 * assert.deepStrictEqual([...Tensor.untyped(counts).dataSync()], [1, 2])
 * assert.strictEqual(Collective.size(), 1)
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Codes from "./Codes.ts"
import { whereRows } from "./Elementwise.ts"
import * as FusedKernel from "./FusedKernel.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import * as Tree from "./Tree.ts"

/** Returns the number of devices that run the step together. It is known while a step is traced. */
export const size = (): number => (tf.backend() as tf.KernelBackend & { readonly devices?: number }).devices ?? 1

const run = (kernel: string, x: tf.Tensor): tf.Tensor => FusedKernel.run(kernel, { x }, {}, () => [x.clone()])[0]!

const over = (name: string, kernel: string, factorOf: (devices: number) => number) => {
  // Every device computes from the result, so each gradient is one of all of them.
  const gradFunc = (dy: tf.Tensor) => {
    const mean = run("PatchwordPmean", dy)
    const factor = factorOf(size())
    return factor === 1 ? mean : tf.mul(mean, factor)
  }
  const differentiable = tf.customGrad((x) => ({ value: run(kernel, x as tf.Tensor), gradFunc }))
  return <T extends object>(tree: T): T =>
    Tree.map<T>(tree, (leaf, path) => {
      ShapeError.elements(name, "float32", leaf, path === "" ? "x" : path)
      return size() === 1 ? leaf : unsafeTyped(differentiable(untyped(leaf as Any)))
    })
}

/**
 * The sum of a tensor over all devices, or of every tensor of a record. It is for sums and counts over the batch. Its gradient is the sum
 * of the gradients.
 */
export const psum: <T extends object>(tree: T) => T = over("psum", "PatchwordPsum", (devices) => devices)

/**
 * The mean of a tensor over all devices, or of every tensor of a record. It is for means over the batch: all devices have equally many
 * samples. Its gradient is the mean of the gradients.
 */
export const pmean: <T extends object>(tree: T) => T = over("pmean", "PatchwordPmean", () => 1)

/**
 * Looks up rows of the table that the tables `[M, E]` of all devices make, one after another: `[K]` to `[K, E]`. So `rows` count in the
 * whole batch. They must be the same on all devices.
 */
export const lookup = <M extends number, K extends number, E extends number>(
  table: Tensor<[M, E]>,
  rows: Tensor<[K], "int32">
): Tensor<[K, E]> => {
  if (size() === 1) return Codes.lookup(table, rows)
  const [own] = table.shape
  const [first] = FusedKernel.run("PatchwordRank", {}, {}, () => [tf.scalar(0, "int32")])
  const last = tf.scalar(own - 1, "int32")
  const places = tf.sub(untyped(rows), tf.mul(first!, tf.scalar(own, "int32")))
  const nearest = tf.minimum(tf.maximum(places, tf.scalar(0, "int32")), last)
  const isOwn: Tensor<[K], "bool"> = unsafeTyped(tf.equal(places, nearest))
  const found = Codes.lookup(table, unsafeTyped<[K], "int32">(nearest))
  return psum(whereRows(isOwn, found, unsafeTyped<[K, E]>(tf.zerosLike(untyped(found)))))
}
