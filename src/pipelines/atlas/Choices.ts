/** A tokenizer on the engine, for atlases: the codes of patches, the second-nearest codes, and the distances to them. */
import { Effect, Option } from "effect"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as CodeVectors from "../trained/CodeVectors.ts"
import * as Inference from "../trained/Inference.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import type * as Batches from "../training/Batches.ts"
import * as Outputs from "../training/Outputs.ts"
import type { Chosen } from "./CodeScan.ts"

const LARGEST = 64

// Elements of the table of patches by codes: it is the largest array of the inference.
const TABLE = 2 ** 25

/**
 * Returns the largest number of images of a batch. It depends on the sizes alone, because it decides about the last bits of results.
 */
export const batchSize = (patches: number, codes: number): number =>
  Math.max(1, Math.min(LARGEST, Math.floor(TABLE / (patches * codes))))

// More codes make a table that is too large to compare with.
const MOST_CODES = 2 ** 16

/** Returns the vectors of the codes; none if the quantizer was given in code, or has more than 65536 codes. */
export const vectorsOf = (tokenizer: Pick<Tokenizer.Tokenizer, "config" | "tensors">) =>
  tokenizer.config.codebook.size > MOST_CODES
    ? Effect.succeedNone
    : Effect.option(CodeVectors.of("atlas", tokenizer))

/**
 * Opens a tokenizer that returns the choices of the first `valid` images of a batch. Second choices are absent if the vectors of the codes
 * are not known. It fails with `OutputError` if a distance is not finite, with `QuantizerError` if a code is not one of the quantizer's,
 * and as the engine does.
 */
export const open = Effect.fnUntraced(function*(tokenizer: Tokenizer.Tokenizer, set: ImageSet, images: number) {
  const { quantizer, sizes, tensors } = yield* Tokenizer.open(tokenizer)
  const { patches } = tokenizer.config.encoder
  const vectors = yield* vectorsOf(tokenizer)
  const size = Dim.named("batch", images)
  const plain = TokenizerStep.choose(sizes, size, quantizer)
  const shape = plain.batch.images.shape
  const run = Option.isNone(vectors)
    ? Effect.map(
      Inference.open(plain, tensors),
      (handle) => (unit: Float32Array) =>
        Effect.map(handle.run({ images: HostTensor.make(shape, "float32", unit) }), ({ codes, distances }) => ({
          codes: codes.data,
          distances: distances.data
        }))
    )
    : Effect.map(
      Inference.open(TokenizerStep.rank(sizes, size, quantizer), {
        ...tensors,
        table: vectors.value
      }),
      (handle) => (unit: Float32Array) =>
        Effect.map(handle.run({ images: HostTensor.make(shape, "float32", unit) }), (found) => ({
          codes: found.codes.data,
          distances: found.distances.data,
          seconds: found.seconds.data,
          secondDistances: found.secondDistances.data
        }))
    )
  const choose = yield* run
  return Effect.fnUntraced(function*(batch: Batches.EvaluationBatch) {
    const { indices, labels, unit, valid } = batch
    const found: Omit<Chosen, "index" | "label"> = yield* choose(unit.data)
    const { codes, distances, secondDistances, seconds } = found
    yield* Outputs.checkFinite("distances to codes", distances, {
      rows: images,
      valid,
      describe: (row) => set.describe(indices[row]!)
    })
    yield* Tokenizer.checkCodes(quantizer, codes)
    return Array.from({ length: valid }, (_, row): Chosen => {
      const [from, to] = [row * patches, (row + 1) * patches]
      return {
        index: indices[row]!,
        label: labels[row]!,
        codes: codes.subarray(from, to),
        distances: distances.subarray(from, to),
        ...(seconds === undefined || secondDistances === undefined
          ? {}
          : { seconds: seconds.subarray(from, to), secondDistances: secondDistances.subarray(from, to) })
      }
    })
  })
})
