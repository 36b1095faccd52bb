import { Effect, type FileSystem } from "effect"
import type * as Checkpoints from "../../../src/layers/run/Checkpoints.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"

export const config = { steps: 9 }
export const stage = "pretrain"

export const snapshot = (step: number, extra: string | null, values: Float32Array): Checkpoints.Snapshot => ({
  stage,
  config,
  dataDigest: "d",
  configDigest: "c",
  epoch: 0,
  computedOn: [],
  step,
  weights: { w: HostTensor.make([values.length], "float32", values) },
  optimizer: {},
  extra
})

export const unflushed = (fs: FileSystem.FileSystem): FileSystem.FileSystem => ({
  ...fs,
  open: (...of) =>
    Effect.map(
      fs.open(...of),
      (file) => Object.defineProperty(file, "sync", { value: Effect.void, configurable: true })
    )
})
