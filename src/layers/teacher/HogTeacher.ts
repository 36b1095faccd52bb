/** A teacher of histograms of oriented gradients (HOG), projected onto their principal components. */
import { Effect } from "effect"
import * as OrientedGradients from "../../domain/method/OrientedGradients.ts"
import * as PcaWhitening from "../../domain/method/PcaWhitening.ts"
import * as Normalize from "../../domain/pixels/Normalize.ts"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Files from "../files/Files.ts"
import { Images } from "../images/Images.ts"
import * as Augment from "../images/views/Augment.ts"
import * as Pauses from "../machine/Pauses.ts"
import * as WorkerThread from "../machine/WorkerThread.ts"
import { within, WrongImages, WrongMeasures } from "./TeacherError.ts"
import { Teacher } from "./TeacherService.ts"

/** Options of the HOG teacher. */
export interface HogOptions {
  /** Side of the patches in pixels. It must be even. */
  readonly patchSize: number
  /** Side of the crops that the projection is fitted on, in pixels. */
  readonly imageSize: number
  /** Number of features per patch, at most 144; default 48. */
  readonly components?: number
  /** Number of augmented training images that the projection is fitted on; default 1024. */
  readonly fitOn?: number
  readonly seed: number
  readonly augment: Augment.Random
}

/** Number of images whose gradients are computed at a time during fitting. */
const CHUNK = 64

const wrap = within("hog")

/** The work of the thread. */
export interface Work {
  readonly rows: Float32Array
  readonly width: number
  readonly components: number
}

const program = WorkerThread.file("PcaWhiteningWorker", import.meta.url)

/** Fits a projection in a thread of its own, because the search for eigenvectors cannot pause. */
const fittedByThread = (work: Work): Effect.Effect<PcaWhitening.PcaWhitening> =>
  WorkerThread.answer(program, work, Effect.sync(() => PcaWhitening.fit(work.rows, work.width, work.components)))

const bytesOf = ({ buffer, byteLength, byteOffset }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

/** Makes a teacher whose projection is fitted on the split `train`. */
export const make = Effect.fn("patchword.Teacher.layerHog")(function*(options: HogOptions) {
  const { augment, components = 48, fitOn = 1024, imageSize, patchSize, seed } = options
  if (
    patchSize % 2 !== 0 || imageSize % patchSize !== 0 || !(components >= 1 && components <= OrientedGradients.WIDTH)
  ) {
    return yield* new WrongMeasures({ patchSize, imageSize, components })
  }
  const { load } = yield* Images
  const train = yield* load("train")
  const order = KeyedRandom.permutation({ seed, purpose: "teacher/order", epoch: 0, index: 0 }, train.length)

  const view = (turn: number) => {
    const index = order[turn % train.length]!
    const key = { seed, purpose: "teacher/view", epoch: Math.floor(turn / train.length), index }
    return Effect.map(train.image(index), (picture) => Augment.view(picture, imageSize, augment, key))
  }
  const patches = (imageSize / patchSize) ** 2
  const described = new Float32Array(new SharedArrayBuffer(4 * fitOn * patches * OrientedGradients.WIDTH))
  for (let start = 0; start < fitOn; start += CHUNK) {
    const turns = Array.from({ length: Math.min(CHUNK, fitOn - start) }, (_, i) => start + i)
    const views = yield* Effect.forEach(turns, (turn) => Effect.tap(view(turn), () => Pauses.pause), { concurrency: 8 })
    const measures = { height: imageSize, width: imageSize, patchSize }
    described.set(
      yield* Pauses.during(OrientedGradients.describing(Normalize.unit(views), measures)),
      start * patches * OrientedGradients.WIDTH
    )
  }
  const whitening = yield* fittedByThread({ rows: described, width: OrientedGradients.WIDTH, components })

  return Teacher.of({
    name: "hog",
    width: components,
    digest: Files.sha256(
      Buffer.concat([Buffer.from(`hog ${patchSize}\n`), bytesOf(whitening.axes), bytesOf(whitening.origin)])
    ),
    features: (images) =>
      Effect.gen(function*() {
        const [batch, , height, width] = images.shape
        if (height % patchSize !== 0 || width % patchSize !== 0) {
          return yield* new WrongImages({
            given: ShapeError.show(images.shape),
            expected: `[B, 3, H, W] with sides that are multiples of ${patchSize}`
          })
        }
        const count = (height / patchSize) * (width / patchSize)
        const rows = yield* Pauses.during(OrientedGradients.describing(images.data, { height, width, patchSize }))
        const projected = yield* Pauses.during(PcaWhitening.applying(whitening, rows))
        return HostTensor.make([batch, count, components], "float32", projected)
      }).pipe(wrap)
  })
}, (self) => wrap(self))
