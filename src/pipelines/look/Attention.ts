/** The attention of the class token: where a network looks, head by head. */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as AttentionMass from "../../domain/look/AttentionMass.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as VitInference from "../../nn/blocks/VitInference.ts"
import * as FinetuneStep from "../../nn/finetune/FinetuneStep.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"
import * as NetworkRows from "../evaluate/NetworkRows.ts"
import * as ShownView from "../trained/ShownView.ts"
import * as Batches from "../training/Batches.ts"

/** The options of an attention. */
export interface AttentionOptions {
  /** The block, counted from 0 as in the names of its weights; the last one when absent. */
  readonly block?: number | undefined
  /** The share of each head's mass whose patches are marked, 0 to 1, as DINO's `threshold`; none are marked when absent. */
  readonly keep?: number | undefined
}

/** The attention of a head, or the mean of all heads. */
export interface Attended {
  /** `[N]`: the attention of the class token to each patch, row-major. With that to itself, it sums to 1. */
  readonly patches: Float32Array
  /** The attention of the class token to itself. */
  readonly self: number
  /** `[N]`: 1 for each of the patches that hold the share `keep` of the mass of all patches. */
  readonly kept?: Uint8Array
}

/** The attention of one image. */
export interface Attention {
  /** Its index in the set. */
  readonly index: number
  /** The view that the network sees. */
  readonly picture: Picture
  readonly grid: Grid
  readonly heads: ReadonlyArray<Attended>
  readonly mean: Attended
}

const BATCH = 32

const rowsOf = (outputs: { readonly attention: HostTensor<[number, number, number], "float32"> }) =>
  outputs.attention.data

const open = (network: NetworkRows.Network, block: number, images: number) => {
  const batchSize = Dim.named("batch", images)
  return NetworkRows.openKind(network, {
    tokenizer: (sizes, open) => open(TokenizerStep.attention(sizes, batchSize, block), rowsOf),
    backbone: (sizes, open) => open(VitInference.attention(PretrainStep.model(sizes), batchSize, block), rowsOf),
    classifier: (sizes, open) => open(VitInference.attention(FinetuneStep.model(sizes), batchSize, block), rowsOf)
  })
}

const attended = (row: Float32Array, keep: number | undefined): Attended => {
  const patches = row.slice(1)
  return { patches, self: row[0]!, ...(keep === undefined ? {} : { kept: AttentionMass.keep(patches, keep) }) }
}

const meanOf = (rows: ReadonlyArray<Float32Array>): Float32Array =>
  rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length)

/** Returns the block that is looked at, counted from 0. Fails with `ConfigError` if the network has no such block. */
export const blockOf = (
  network: NetworkRows.Network,
  { block }: Pick<AttentionOptions, "block">
): Effect.Effect<number, Config.ConfigError> => {
  const { depth } = NetworkRows.vitOf(network)
  const chosen = block ?? depth - 1
  return Number.isInteger(chosen) && chosen >= 0 && chosen < depth ? Effect.succeed(chosen) : Effect.fail(
    new Config.ConfigError({
      source: "attention",
      problems: [{
        path: "block",
        message: `expected a block of the network, 0 to ${depth - 1}, got ${chosen}`
      }],
      advice: "choose another block (--block)"
    })
  )
}

/**
 * Computes the attention of the class token in one block of a network, for the central views of a set, and calls `use` with a few
 * images at a time, in order. Only these are held in memory. The probabilities are those with which the block itself weighs the
 * tokens, with its relative position bias.
 *
 * Fails with `ConfigError` if the network has no such block, with `OutputError` if a number is not finite, and as the engine, the
 * images and `use` fail.
 */
export const attention = Effect.fn("patchword.attention")(function*<E, R>(
  network: NetworkRows.Network,
  set: ImageSet,
  use: (images: ReadonlyArray<Attention>) => Effect.Effect<void, E, R>,
  options: AttentionOptions = {}
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const block = yield* blockOf(network, options)
  const { grid, heads, patches } = NetworkRows.vitOf(network)
  const [length, width] = [patches + 1, heads * (patches + 1)]
  const opened = yield* open(network, block, Batches.fitting(BATCH, set))
  yield* NetworkRows.each(network, opened, "attention", width)(
    set,
    (rows, places, batch) =>
      use(places.map((index, at): Attention => {
        const each = Array.from(
          { length: heads },
          (_, head) => rows.subarray(at * width + head * length, at * width + (head + 1) * length)
        )
        return {
          index,
          picture: ShownView.pictureOf(batch.unit, at),
          grid,
          heads: each.map((row) => attended(row, options.keep)),
          mean: attended(meanOf(each), options.keep)
        }
      }))
  )
}, Effect.scoped)
