/** The patches of images as colours: the principal components of their features. */
import { Effect } from "effect"
import * as PatchColours from "../../domain/look/PatchColours.ts"
import * as PrincipalComponents from "../../domain/method/PrincipalComponents.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import * as WorkerThread from "../../layers/machine/WorkerThread.ts"
import * as VitInference from "../../nn/blocks/VitInference.ts"
import * as FinetuneStep from "../../nn/finetune/FinetuneStep.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"
import * as NetworkRows from "../evaluate/NetworkRows.ts"
import * as ShownView from "../trained/ShownView.ts"
import * as Batches from "../training/Batches.ts"

/** The options of the components. */
export interface PcaOptions {
  /** The patches that are coloured; default `none`, which colours all. */
  readonly foreground?: PatchColours.Foreground
  /** The largest number of images that the components are computed of: the first ones of the set; default 32. */
  readonly fitOn?: number
}

/** The colours of one image's patches. */
export interface Colours {
  /** Its index in the set. */
  readonly index: number
  /** The view that the network sees. */
  readonly picture: Picture
  readonly grid: Grid
  /** `[N, 3]`: red, green and blue of each patch, 0 to 1, row-major. Those of the background are 0. */
  readonly values: Float32Array
  /** `[N]`: 1 for each patch in the foreground. */
  readonly foreground: Uint8Array
}

/** The figures of the components. */
export interface PcaFigures {
  /** The share of the variance of the coloured patches along each of the three components, 0 to 1. */
  readonly explained: ReadonlyArray<number>
  /** The same of the component that tells the foreground, among all patches. Absent if all patches are coloured. */
  readonly ground?: number
  /** The number of images that the components were computed of. */
  readonly fitted: number
}

const BATCH = 16

/** The number of images that the components are computed of, at most, unless told otherwise. */
export const FIT_ON = 32

/** The work of the thread. */
export interface Work {
  readonly rows: Float32Array
  readonly width: number
  readonly options: PatchColours.Options
}

const program = WorkerThread.file("PatchColoursWorker", import.meta.url)

/** Fits colours in a thread of its own, because the search for eigenvectors cannot pause. It takes seconds for a large network. */
const fittedByThread = (work: Work): Effect.Effect<PatchColours.PatchColours> =>
  WorkerThread.answer(program, work, Effect.sync(() => PatchColours.fit(work.rows, work.width, work.options)))

const rowsOf = (outputs: { readonly target: HostTensor<[number, number, number], "float32"> }) => outputs.target.data

const open = (network: NetworkRows.Network, images: number) => {
  const batchSize = Dim.named("batch", images)
  return NetworkRows.openKind(network, {
    tokenizer: (sizes, open) => open(TokenizerStep.patchFeatures(sizes, batchSize), rowsOf),
    backbone: (sizes, open) => open(VitInference.patchFeatures(PretrainStep.model(sizes), batchSize), rowsOf),
    classifier: (sizes, open) => open(VitInference.patchFeatures(FinetuneStep.model(sizes), batchSize), rowsOf)
  })
}

/**
 * Computes the first three principal components of the patch features of a network, after its last block and final norm, as colours,
 * and calls `use` with a few images at a time, in order. The components are those of the first `fitOn` images together. The features of
 * these are held in memory. Later images get the colours of the same components.
 *
 * Returns the figures. Fails with `OutputError` if a feature is not finite, and as the engine, the images and `use` fail.
 */
export const pca = Effect.fn("patchword.pca")(function*<E, R>(
  network: NetworkRows.Network,
  set: ImageSet.ImageSet,
  use: (images: ReadonlyArray<Colours>) => Effect.Effect<void, E, R>,
  options: PcaOptions = {}
) {
  const { fitOn = FIT_ON, foreground = "none" } = options
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { grid, patches, width } = NetworkRows.vitOf(network)
  const length = patches * width
  const opened = yield* open(network, Batches.fitting(BATCH, set))
  const eachOf = NetworkRows.each(network, opened, "patch features", length)
  const fitted = Math.min(fitOn, set.length)
  const rows = new Float32Array(new SharedArrayBuffer(4 * fitted * length))
  const first = ImageSet.subset(set, Array.from({ length: fitted }, (_, i) => i))
  yield* eachOf(first, (some, [start = 0]) => Effect.sync(() => rows.set(some, start * length)))
  const found = yield* fittedByThread({ rows, width, options: { grid, foreground } })
  yield* eachOf(set, (some, places, batch) =>
    use(places.map((index, at): Colours => ({
      index,
      picture: ShownView.pictureOf(batch.unit, at),
      grid,
      ...PatchColours.apply(found, some.subarray(at * length, (at + 1) * length))
    }))))
  const figures: PcaFigures = {
    explained: PrincipalComponents.explained(found.components),
    ...(found.ground === undefined ? {} : { ground: PrincipalComponents.explained(found.ground.components)[0]! }),
    fitted
  }
  return figures
}, Effect.scoped)
