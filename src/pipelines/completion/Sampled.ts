/** A completed set: its figures, and the pictures of a few images that are spread over it. */
import { Effect } from "effect"
import type * as Json from "../../domain/values/Json.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type * as CompletionSample from "../../layers/run/CompletionSample.ts"
import * as FidelityResults from "../../layers/run/FidelityResults.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import { complete, type CompleteOptions, type CompletionFigures, type Networks } from "./Complete.ts"
import * as CompletionPictures from "./CompletionPictures.ts"

/** A completed set. */
export interface Sampled {
  readonly figures: CompletionFigures
  /** SHA-256 of the weights of the tokenizer, the pretrained network and the decoder. */
  readonly weights: { readonly tokenizer: string; readonly backbone: string; readonly decoder: string }
  /** Side of the pictures, in pixels. */
  readonly side: number
  readonly shown: ReadonlyArray<{
    /** The index of the image in the set, and its name. */
    readonly index: number
    readonly name: string
    readonly pictures: CompletionPictures.CompletionPictures
  }>
}

/** Returns `count` indices that are spread over a set, or all. */
export const spread = (length: number, count: number): ReadonlyArray<number> => {
  const shown = Math.min(length, count)
  return Array.from({ length: shown }, (_, i) => Math.floor(i * length / shown))
}

/** Completes a set, and keeps the pictures of `count` images of it. Fails as `complete` does. */
export const of = Effect.fnUntraced(function*(
  networks: Networks,
  set: ImageSet,
  options: CompleteOptions & { readonly count: number }
) {
  const wanted = new Set(spread(set.length, options.count))
  const shown: Array<Sampled["shown"][number]> = []
  const figures = yield* complete(networks, set, options, (some) =>
    Effect.forEach(
      some.filter(({ index }) => wanted.has(index)),
      (one) =>
        Effect.map(CompletionPictures.of(one, networks.decoder), (pictures) => {
          shown.push({ index: one.index, name: set.describe(one.index), pictures })
        }),
      { discard: true }
    ))
  const weights = {
    tokenizer: networks.decoder.tokenizer,
    backbone: yield* Weights.digest(networks.backbone.tensors),
    decoder: yield* Weights.digest(networks.decoder.tensors)
  }
  const sampled: Sampled = { figures, weights, side: networks.decoder.imageSize, shown }
  return sampled
})

/** Makes the result that a run keeps of a completed set. `network` is the name of the pretrained network. */
export const result = Effect.fnUntraced(function*(
  set: Pick<ImageSet, "digest">,
  sampled: Sampled,
  network: string,
  settings: Readonly<Record<string, Json.Json>>
) {
  const { masked, patches, visible, ...figures } = sampled.figures
  return yield* FidelityResults.make({
    verb: "complete",
    network,
    ...figures,
    digests: {
      ...sampled.weights,
      images: set.digest
    },
    settings: { visible, masked, patches, ...settings }
  })
})

/** Makes what a run keeps of a completed set to show: its figures, and the first `count` of its pictures. */
export const sample = ({ figures, shown, side, weights }: Sampled, count: number): CompletionSample.Sample => ({
  ...figures,
  weights,
  side,
  shown: shown.slice(0, count).map(({ name, pictures }) => ({
    name,
    original: pictures.original.toString("base64"),
    decoded: pictures.decoded.toString("base64"),
    masked: pictures.masked.toString("base64"),
    completed: pictures.completed.toString("base64")
  }))
})
