/** Weights and batches that are the same here and in Python (`peer.py`): numbers that are made from a name and a place. */
import type { Init } from "../src/nn/blocks/Parameter.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import type { Shape } from "../src/shapes/Shape.ts"
import type { HostOf } from "../src/shapes/Step.ts"
import * as Tree from "../src/shapes/Tree.ts"

const BOUND = 0.035
const BITS = 2 ** 24
const CODEBOOK = "quantize.embedding.weight"

/** Makes 24 bits for each place. */
const bits = (name: string, size: number): Int32Array => {
  const seed = Buffer.from(name).reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5)
  return Int32Array.from({ length: size }, (_, place) => {
    let h = seed + Math.imul(place, 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    return (h ^ (h >>> 16)) >>> 8
  })
}

/** Makes numbers between two bounds. */
const filled = (name: string, size: number, low: number, high: number): Float32Array =>
  Float32Array.from(bits(name, size), (value) => low + value / BITS * (high - low))

/** Makes rows of length 1. */
const directions = (name: string, [rows, width]: readonly [number, number]): Float32Array => {
  const found = Float64Array.from(bits(name, rows * width), (value) => value / BITS * 2 - 1)
  for (let row = 0; row < rows; row++) {
    const one = found.subarray(row * width, (row + 1) * width)
    const length = Math.sqrt(one.reduce((sum, value) => sum + value * value, 0))
    one.forEach((value, place) => (one[place] = value / length))
  }
  return Float32Array.from(found)
}

const parameter = (leaf: Tree.Leaf & { readonly init?: Init }, name: string): Float32Array => {
  const size = HostTensor.size(leaf.shape)
  if (leaf.shape.length > 1) return filled(name, size, -BOUND, BOUND)
  return new Float32Array(size).fill(leaf.init?._tag === "Constant" ? leaf.init.value : 0)
}

/** Makes the values of a step's state or of an inference's weights. */
export const held = <S>(spec: object): HostOf<S> =>
  Tree.map<HostOf<S>>(spec, (leaf, path) => {
    const [part, ...rest] = path.split(".")
    const name = rest.join(".")
    const data = path === CODEBOOK
      ? directions(CODEBOOK, leaf.shape as readonly [number, number])
      : part === "parameters"
      ? parameter(leaf, name)
      : new Float32Array(HostTensor.size(leaf.shape))
    return HostTensor.make(leaf.shape, "float32", data)
  })

/** The sizes that a batch needs besides its shapes. */
export interface Sizes {
  /** The least value of an image: -1 for pretraining, 0 for the tokenizer. */
  readonly least: number
  /** The number of masked patches of an image, and of codes. */
  readonly masked: number
  readonly codes: number
}

/** Makes a batch of these specifications. Arrays that are known take their places. */
export const batch = <B>(spec: object, given: object, { codes, least, masked }: Sizes): HostOf<B> => {
  const { mask } = spec as { readonly mask?: { readonly shape: Shape } }
  const patches = mask?.shape[1] ?? 0
  const hidden = Uint8Array.from(
    { length: mask === undefined ? 0 : HostTensor.size(mask.shape) },
    (_, at) => (at % patches * 37 + Math.floor(at / patches) * 11) % patches < masked ? 1 : 0
  )
  const rows = Int32Array.from(hidden.keys()).filter((at) => hidden[at] === 1)
  const values: Readonly<Record<string, (size: number) => HostTensor.Any["data"]>> = {
    images: (size) => filled("images", size, least, 1),
    targets: (size) => filled("targets", size, -1, 1),
    mask: () => hidden,
    rows: () => rows,
    labels: (size) => bits("labels", size).map((value) => value % codes)
  }
  const known = new Map(Tree.leaves(given))
  return Tree.map<HostOf<B>>(
    spec,
    (leaf, path) =>
      known.get(path) ??
        HostTensor.make(leaf.shape, leaf.dtype as HostTensor.DType, values[path]!(HostTensor.size(leaf.shape)))
  )
}
