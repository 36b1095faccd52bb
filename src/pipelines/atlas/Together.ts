/** Finds the codes that occur together, from the kept codes of all images. Its memory does not depend on their number. */
import { Effect } from "effect"
import * as CodePairs from "../../domain/method/CodePairs.ts"
import type * as Safetensors from "../../domain/weights/Safetensors.ts"
import type * as Files from "../../layers/files/Files.ts"
import { told } from "../../layers/files/LongWork.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import * as AtlasState from "./AtlasState.ts"

/** The most codes for which it is found. More take too many readings of the codes of all images. */
export const MOST_CODES = 2 ** 14

/** The pairs of a code that are kept, of each kind. */
const LENGTH = 12

// Bytes of the counts that are held at once.
const BUDGET = 2 ** 26

// Images that are read at once.
const SOME = 1024

/** The sizes of the kept codes. */
export interface Sizes extends AtlasState.CodeSizes {
  readonly images: number
}

/** Returns the arrays of the pairs of all codes: -1 stands for no code. The codes of images are read once for each part of the codes. */
export const tensors = Effect.fnUntraced(
  function*(files: Files.Files, folder: string, sizes: Sizes) {
    const { codes, grid, images } = sizes
    const patches = grid.height * grid.width
    const found: Record<string, Safetensors.Tensor> = {}
    const shape = [codes, LENGTH]
    for (const kind of CodePairs.KINDS) {
      found[`together.${kind}.codes`] = { dtype: "int32", shape, data: new Int32Array(codes * LENGTH).fill(-1) }
      for (const name of ["counts", "expected", "measures"]) {
        found[`together.${kind}.${name}`] = { dtype: "float32", shape, data: new Float32Array(codes * LENGTH) }
      }
    }
    const some = Math.max(1, Math.floor(BUDGET / CodePairs.bytesOf(codes)))
    for (let from = 0; from < codes; from += some) {
      const counts = CodePairs.make({ codes, from, to: Math.min(codes, from + some), grid })
      for (let image = 0; image < images; image += SOME) {
        const all = yield* AtlasState.readCodes(files, folder, sizes, image, Math.min(SOME, images - image))
        for (let at = 0; at < all.length; at += patches) {
          CodePairs.add(counts, all.subarray(at, at + patches))
          yield* Pauses.pause
        }
      }
      for (const kind of CodePairs.KINDS) {
        for (let code = from; code < counts.to; code++) {
          yield* Pauses.pause
          for (const [rank, pair] of CodePairs.best(counts, kind, code, LENGTH).entries()) {
            const at = code * LENGTH + rank
            found[`together.${kind}.codes`]!.data[at] = pair.code
            found[`together.${kind}.counts`]!.data[at] = pair.count
            found[`together.${kind}.expected`]!.data[at] = pair.expected
            found[`together.${kind}.measures`]!.data[at] = pair.measure
          }
        }
      }
    }
    const tensors: Readonly<Record<string, Safetensors.Tensor>> = found
    return tensors
  },
  told("atlas: codes that occur together")
)
