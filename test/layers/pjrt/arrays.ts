import type * as HostTensor from "../../../src/shapes/HostTensor.ts"

export const floats = (...values: ReadonlyArray<number>): HostTensor.Any => ({
  shape: [values.length],
  dtype: "float32",
  data: Float32Array.from(values)
})

export const ints = (...values: ReadonlyArray<number>): HostTensor.Any => ({
  shape: [values.length],
  dtype: "int32",
  data: Int32Array.from(values)
})

export const flags = (...values: ReadonlyArray<boolean>): HostTensor.Any => ({
  shape: [values.length],
  dtype: "bool",
  data: Uint8Array.from(values, Number)
})
