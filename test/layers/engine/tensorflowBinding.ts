import * as tf from "@tensorflow/tfjs-core"
import util from "node:util"
import type { Binding } from "../../../src/layers/engine/TensorFlowSession.ts"
import { absent, packages } from "./engines.ts"

interface Backend {
  readonly binding: Binding
}

export const load = async (): Promise<Binding> => {
  tf.env().set("PROD", true)
  Object.assign(util, {
    isArray: Array.isArray,
    isNullOrUndefined: (value: unknown) => value === null || value === undefined
  })
  const name = packages.find((one) => !absent.includes(one))!
  await import(`@tensorflow/${name}`)
  const backend: object = tf.backend()
  return (backend as Backend).binding
}
