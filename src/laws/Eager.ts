/** Computes typed operations immediately, on host arrays. */
import * as tf from "@tensorflow/tfjs-core"
import * as BackendScope from "../compiler/trace/BackendScope.ts"
import type * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf } from "../shapes/Step.ts"
import * as Tensor from "../shapes/Tensor.ts"
import * as Tree from "../shapes/Tree.ts"

/** Runs `body` on a record of host arrays and returns its result on the host. Frees every tensor. */
export const run = <I extends object, O extends object>(inputs: HostOf<I>, body: (inputs: I) => O): HostOf<O> =>
  BackendScope.run("cpu", () => {
    // TensorFlow.js would advertise its other packages on the console.
    tf.env().set("PROD", true)
    const given = Tree.map<I>(inputs, (leaf) => Tensor.constant(leaf as HostTensor.Any))
    return Tree.map<HostOf<O>>(body(given), (leaf) => {
      const tensor = Tensor.untyped(leaf as Tensor.Any)
      return { shape: [...tensor.shape], dtype: tensor.dtype, data: tensor.dataSync().slice() }
    })
  })
