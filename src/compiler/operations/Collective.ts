/** Operations on all devices that run a program together. A program for one device has none of them. */
import { PMEAN, PSUM, RANK } from "../graph/Varying.ts"
import { typeOf } from "../stablehlo/StableHloWriter.ts"
import { type Operation, same } from "./Operation.ts"

interface Devices extends Readonly<Record<string, number>> {
  readonly devices: number
}

const all = (name: string, factorOf: (devices: number) => number): Operation<Devices> => ({
  name,
  types: same,
  onnx: (w, { inputs: [x] }) => w.name(x!),
  tensorflow: (_, [x]) => x!,
  stablehlo: (w, [x], { attributes: { devices } }) => {
    const sum = w.allReduce(x!, devices)
    const factor = factorOf(devices)
    return factor === 1 ? sum : w.each("multiply", sum, w.splat(factor))
  }
})

/** Sums a value over all devices. */
export const psum = all(PSUM, () => 1)

/** Averages a value over all devices. */
export const pmean = all(PMEAN, (devices) => 1 / devices)

/** Returns the place of the device among all, from 0. */
export const rank: Operation<Readonly<Record<never, never>>> = {
  name: RANK,
  types: () => [{ shape: [], dtype: "int32" }],
  onnx: (w) => w.scalar(0, "int32"),
  tensorflow: (w) => w.integer(0),
  stablehlo: (w) => {
    const place = { shape: [], dtype: "int32" as const }
    const { name } = w.put("stablehlo.replica_id : tensor<ui32>", place.shape, place.dtype)
    return w.put(`stablehlo.convert ${name} : (tensor<ui32>) -> ${typeOf(place)}`, place.shape, place.dtype)
  }
}
