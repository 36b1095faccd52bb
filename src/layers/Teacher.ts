/**
 * What the tokenizer learns to rebuild: features of every patch of an image.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Layer } from "effect"
 * import { Keyed, Presets } from "patchword/domain"
 * import { Images, ImageSet, Teacher } from "patchword/layers"
 * import { HostTensor } from "patchword/shapes"
 *
 * const { integer } = Keyed.generator({ seed: 0, purpose: "example", epoch: 0, index: 0 })
 * const noise = () => ({ width: 48, height: 48, data: Uint8Array.from({ length: 48 * 48 * 3 }, () => integer(0, 255)) })
 * const images = Images.Images.layerMemory([ImageSet.memory("train", ["noise"], [noise(), noise()], [0, 0])])
 * const { augment } = Presets.tiny.tokenizer
 * const teacher = Teacher.Teacher.layerHog({ imageSize: 48, patchSize: 8, seed: 0, augment, fitOn: 8 })
 * const program = Effect.gen(function*() {
 *   const { features } = yield* Teacher.Teacher
 *   return yield* features(HostTensor.zeros([2, 3, 48, 48], "float32"))
 * })
 * const { shape } = await Effect.runPromise(Effect.provide(program, Layer.provide(teacher, images)))
 * assert.deepStrictEqual(shape, [2, 36, 48])
 * ```
 */
import { Context, Effect, Layer, Runtime, Schema } from "effect"
import * as Keyed from "../domain/Keyed.ts"
import * as Normalize from "../domain/Normalize.ts"
import * as OrientedGradients from "../domain/OrientedGradients.ts"
import * as Whitening from "../domain/Whitening.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as ShapeError from "../shapes/ShapeError.ts"
import * as Augment from "./Augment.ts"
import { Engine, EngineError } from "./Engine.ts"
import * as Files from "./Files.ts"
import { Images } from "./Images.ts"
import { ImagesError } from "./ImageSet.ts"

/** The images have sides that the teacher does not take. Exits with 65. */
export class WrongImages extends Schema.TaggedError<WrongImages>()("WrongImages", {
  given: Schema.String,
  expected: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `images of shape ${this.given} came, but ${this.expected} is expected; change imageSize or patchSize`
  }
}

/** The measures of patches and images do not fit together. Exits with 64. */
export class WrongMeasures extends Schema.TaggedError<WrongMeasures>()("WrongMeasures", {
  patchSize: Schema.Finite,
  imageSize: Schema.Finite,
  components: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message() {
    return `patchSize is ${this.patchSize}, imageSize ${this.imageSize} and components ${this.components}, but patchSize ` +
      `has to be even, imageSize a multiple of it, and components from 1 to ${OrientedGradients.WIDTH}`
  }
}

/** The model is no teacher: its ports are not what the options say. Exits with 65. */
export class WrongModel extends Schema.TaggedError<WrongModel>()("WrongModel", {
  problem: Schema.String,
  inputs: Schema.Array(Schema.String),
  outputs: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.problem}; the model takes ${this.inputs.join(", ")} and gives ${this.outputs.join(", ")}`
  }
}

/** Why a teacher gives no features. The exit code is that of the reason. */
export class TeacherError extends Schema.TaggedError<TeacherError>()("TeacherError", {
  teacher: Schema.String,
  reason: Schema.Union([WrongImages, WrongMeasures, WrongModel, ImagesError, EngineError, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  override get message() {
    return `teacher ${this.teacher}: ${this.reason.message}`
  }
}

/** How the teacher of oriented gradients is made. */
export interface HogOptions {
  /** Side of the patches in pixels; even. */
  readonly patchSize: number
  /** Side of the crops that the projection is fitted on. */
  readonly imageSize: number
  /** Numbers per patch; at most 144. Default 48. */
  readonly components?: number
  /** How many augmented training images the projection is fitted on. Default 1024. */
  readonly fitOn?: number
  readonly seed: number
  readonly augment: Augment.Random
}

/** How an ONNX model is a teacher. */
export interface OnnxOptions {
  /** Its output with one row per token, `[B, N, T]`. */
  readonly output: string
  /** Its input for images `[B, 3, H, W]`; its only one when absent. */
  readonly input?: string
  /** Leading tokens that are no patches, as a class token. Default 0. */
  readonly skip?: number
  /** Side of the images that it will be shown. */
  readonly imageSize: number
  /** What it expects of its pixels. Default 0 and 1: values from 0 to 1 as they are. */
  readonly channels?: Normalize.Channels
}

/** How many images are described at a time while fitting. */
const CHUNK = 64

/** A source of patch features. */
export class Teacher extends Context.Service<Teacher, {
  readonly name: string
  /** Numbers per patch. */
  readonly width: number
  /** A SHA-256 of everything that the features depend on. */
  readonly digest: string
  /** Features `[B, N, width]` of images `[B, 3, H, W]` with values from 0 to 1; patches row by row, of unit length. */
  readonly features: <B extends number, H extends number, W extends number>(
    images: HostTensor.HostTensor<[B, 3, H, W], "float32">
  ) => Effect.Effect<HostTensor.HostTensor<[B, number, number], "float32">, TeacherError>
}>()("patchword/layers/Teacher") {
  /**
   * Oriented gradients with context, projected on their principal components. These are fitted when the layer is built,
   * on augmented crops of the split `train`; nothing is trained and nothing downloaded.
   */
  static readonly layerHog = (options: HogOptions): Layer.Layer<Teacher, TeacherError, Images> =>
    Layer.effect(Teacher, makeHog(options))

  /**
   * Any ONNX model with an output of one row per patch. Runs on the engine in the environment, which has to take foreign
   * models. Fails with 66 when there is no such file, with 65 when the model's inputs and outputs are other ones.
   */
  static readonly layerOnnx = (file: string, options: OnnxOptions): Layer.Layer<Teacher, TeacherError, Engine> =>
    Layer.effect(Teacher, makeOnnx(file, options)).pipe(Layer.provide(Files.layerNode))
}

const PLAIN: Normalize.Channels = { mean: [0, 0, 0], std: [1, 1, 1] }

const makeOnnx = Effect.fn("Teacher.layerOnnx")(
  function*(file: string, { channels = PLAIN, imageSize, input, output, skip = 0 }: OnnxOptions) {
    const { fs } = yield* Files.make
    const engine = yield* Engine
    const bytes = yield* Files.onFailure(file)(fs.readFile(file))
    const model = yield* engine.load(file, bytes)
    const ports = { inputs: model.inputs.map(({ name }) => name), outputs: model.outputs.map(({ name }) => name) }
    const wrong = (problem: string) => new WrongModel({ problem, ...ports })
    const [only] = ports.inputs
    const port = input ?? only
    if (port === undefined || !ports.inputs.includes(port) || (input === undefined && ports.inputs.length > 1)) {
      return yield* wrong(`there is no single input ${input ?? ""}`)
    }
    if (!ports.outputs.includes(output)) return yield* wrong(`there is no output ${output}`)

    // A model made for one batch size is shown its batches one after another, the last one filled up with nothing.
    const fixed = model.inputs.find(({ name }) => name === port)?.shape[0] ?? -1

    const once = Effect.fnUntraced(function*(pixels: Float32Array, shape: [number, 3, number, number]) {
      const found = (yield* model.run({ [port]: HostTensor.make(shape, "float32", pixels) }))[output]
      const [rows, tokens, width, ...more] = found?.shape ?? []
      const fits = rows === shape[0] && tokens !== undefined && tokens > skip && width !== undefined &&
        more.length === 0
      if (found === undefined || !fits || !(found.data instanceof Float32Array)) {
        return yield* wrong(
          `${output} is ${ShapeError.show(found?.shape ?? [])}, but [${shape[0]}, more than ${skip}, T] is expected`
        )
      }
      return { data: found.data, tokens, width }
    })

    const features = Effect.fnUntraced(
      function*<B extends number, H extends number, W extends number>(
        images: HostTensor.HostTensor<[B, 3, H, W], "float32">
      ) {
        const [batch, , height, width] = images.shape
        const pixels = Normalize.standardise(images.data, height * width, channels)
        const size = fixed > 0 ? fixed : batch
        const image = 3 * height * width
        const starts = Array.from({ length: Math.ceil(batch / size) }, (_, i) => i * size)
        const parts = yield* Effect.forEach(starts, (start) => {
          const chunk = new Float32Array(size * image)
          chunk.set(pixels.subarray(start * image, (start + size) * image))
          return once(chunk, [size, 3, height, width])
        })
        const [first] = parts as [(typeof parts)[number]]
        const row = (first.tokens - skip) * first.width
        const kept = new Float32Array(batch * row)
        for (let i = 0; i < batch; i++) {
          const { data, tokens, width: channel } = parts[Math.floor(i / size)]!
          const from = ((i % size) * tokens + skip) * channel
          kept.set(data.subarray(from, from + row), i * row)
        }
        return HostTensor.make([batch, first.tokens - skip, first.width], "float32", kept)
      },
      wrapped(file)
    )
    // The width stands in no header that can be trusted: models with free axes leave it open.
    const tried = yield* features(HostTensor.zeros([1, 3, imageSize, imageSize], "float32"))
    return Teacher.of({
      name: file,
      width: tried.shape[2],
      digest: Files.sha256(`${Files.sha256(bytes)} ${output} ${skip} ${[...channels.mean, ...channels.std].join(" ")}`),
      features
    })
  },
  (self, file) => wrapped(file)(self)
)

const makeHog = Effect.fn("Teacher.layerHog")(function*(options: HogOptions) {
  const { augment, components = 48, fitOn = 1024, imageSize, patchSize, seed } = options
  if (
    patchSize % 2 !== 0 || imageSize % patchSize !== 0 || !(components >= 1 && components <= OrientedGradients.WIDTH)
  ) {
    return yield* new WrongMeasures({ patchSize, imageSize, components })
  }
  const { load } = yield* Images
  const train = yield* load("train")
  const order = Keyed.permutation({ seed, purpose: "teacher/order", epoch: 0, index: 0 }, train.length)

  const view = (turn: number) => {
    const index = order[turn % train.length]!
    const key = { seed, purpose: "teacher/view", epoch: Math.floor(turn / train.length), index }
    return Effect.map(train.image(index), (picture) => Augment.view(picture, imageSize, augment, key))
  }
  const patches = (imageSize / patchSize) ** 2
  const described = new Float32Array(fitOn * patches * OrientedGradients.WIDTH)
  for (let start = 0; start < fitOn; start += CHUNK) {
    const turns = Array.from({ length: Math.min(CHUNK, fitOn - start) }, (_, i) => start + i)
    const views = yield* Effect.forEach(turns, view, { concurrency: 8 })
    const measures = { height: imageSize, width: imageSize, patchSize }
    described.set(
      OrientedGradients.describe(Normalize.unit(views), measures),
      start * patches * OrientedGradients.WIDTH
    )
  }
  const whitening = Whitening.fit(described, OrientedGradients.WIDTH, components)

  return Teacher.of({
    name: "hog",
    width: components,
    digest: Files.sha256(
      Buffer.concat([Buffer.from(`hog ${patchSize}\n`), bytesOf(whitening.axes), bytesOf(whitening.origin)])
    ),
    features: (images) =>
      Effect.suspend(() => {
        const [batch, , height, width] = images.shape
        if (height % patchSize !== 0 || width % patchSize !== 0) {
          return Effect.fail(
            new WrongImages({
              given: ShapeError.show(images.shape),
              expected: `[B, 3, H, W] with sides that are multiples of ${patchSize}`
            })
          )
        }
        const count = (height / patchSize) * (width / patchSize)
        const rows = OrientedGradients.describe(images.data, { height, width, patchSize })
        return Effect.succeed(HostTensor.make([batch, count, components], "float32", Whitening.apply(whitening, rows)))
      }).pipe(wrap)
  })
}, (self) => wrap(self))

const bytesOf = ({ buffer, byteLength, byteOffset }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

const wrapped = (teacher: string) =>
  Effect.mapError((reason: TeacherError["reason"] | TeacherError) =>
    reason instanceof TeacherError ? reason : new TeacherError({ teacher, reason })
  )

const wrap = wrapped("hog")
