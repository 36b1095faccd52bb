/**
 * The share of a batch that each of several devices gets. `split` of a specification says how an array is shared. Without it, every
 * device gets the whole array.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Split } from "patchword/compiler"
 * import { HostTensor } from "patchword/shapes"
 *
 * const rows = HostTensor.make([4], "int32", Int32Array.of(0, 2, 5, 7))
 * assert.deepStrictEqual(Split.part(rows, "rows", 2, 1).data, Int32Array.of(5, 7))
 * assert.deepStrictEqual(Split.part(rows, { placesOf: 8 }, 2, 1).data, Int32Array.of(1, 3))
 * ```
 */
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { Split } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"

/** A specification that may say how devices share the array. */
export interface Splittable extends Tree.Leaf {
  readonly split?: Split | undefined
}

/** The devices cannot share an array of the batch equally. */
export class Uneven extends Error {
  override readonly name = "Uneven"
  readonly array: string
  readonly rows: number
  readonly devices: number
  constructor(array: string, rows: number, devices: number) {
    super(`${array}: ${rows} rows are not divisible among ${devices} devices`)
    this.array = array
    this.rows = rows
    this.devices = devices
  }
}

/**
 * Returns the specifications of what one device gets.
 *
 * @throws Uneven when the devices cannot share the rows of an array equally.
 */
export const specs = <T extends object>(batch: T, devices: number): T =>
  Tree.map<T>(batch, (leaf: Splittable, path) => {
    const { shape, split } = leaf
    if (split === undefined || devices === 1) return leaf
    const [rows = 1, ...rest] = shape
    for (const count of split === "rows" ? [rows] : [rows, split.placesOf]) {
      if (shape.length === 0 || count % devices !== 0) throw new Uneven(path, count, devices)
    }
    return { ...leaf, shape: [rows / devices, ...rest] }
  })

/** Returns the part of an array that a device gets. It shares the array's memory where it can. */
export const part = (
  array: HostTensor.Any,
  split: Split | undefined,
  devices: number,
  device: number
): HostTensor.Any => {
  const { data, dtype, shape } = array
  if (split === undefined || devices === 1) return { data, dtype, shape }
  const length = data.length / devices
  const own = data.subarray(device * length, (device + 1) * length)
  const first = split === "rows" ? 0 : device * split.placesOf / devices
  return {
    shape: [shape[0]! / devices, ...shape.slice(1)],
    dtype,
    data: first === 0 ? own : own.map((place) => place - first)
  }
}

/** Returns true if every device gets places of its own rows only. */
export const fits = (array: HostTensor.Any, split: Split | undefined, devices: number): boolean =>
  split === undefined || split === "rows" ||
  Array.from({ length: devices }, (_, device) => part(array, split, devices, device).data)
    .every((places) => places.every((place) => place >= 0 && place < split.placesOf / devices))
