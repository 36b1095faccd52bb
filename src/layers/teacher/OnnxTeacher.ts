/** Any ONNX model with one output row per patch as a teacher. */
import { Effect } from "effect"
import * as Normalize from "../../domain/pixels/Normalize.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import { Engine } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import { inParts } from "./InParts.ts"
import * as OnnxFile from "./OnnxFile.ts"
import { within, WrongModel } from "./TeacherError.ts"
import { Teacher } from "./TeacherService.ts"

/** Options of an ONNX teacher. */
export interface OnnxOptions {
  /** Name of the output with one row per token, `[B, N, T]`. It can be absent if the model has only one output. */
  readonly output?: string
  /** Name of the input for images `[B, 3, H, W]`. It can be absent if the model has only one input. */
  readonly input?: string
  /** Number of leading tokens that are not patches, such as a class token; default 0. */
  readonly skip?: number
  /** Side of the images that the model will be given, in pixels. */
  readonly imageSize: number
  /** Mean and standard deviation of its input channels. Default 0 and 1: pixel values from 0 to 1, unchanged. */
  readonly channels?: Normalize.Channels
}

const PLAIN: Normalize.Channels = { mean: [0, 0, 0], std: [1, 1, 1] }

/** Makes a teacher from the model in a file. */
export const make = Effect.fn("patchword.Teacher.layerOnnx")(
  function*(file: string, options: OnnxOptions) {
    const { channels = PLAIN, imageSize, input, skip = 0 } = options
    const engine = yield* Engine
    const { bytes, digest, files } = yield* OnnxFile.read(file)
    const model = yield* engine.load(file, bytes, files)
    const ports = { inputs: model.inputs.map(({ name }) => name), outputs: model.outputs.map(({ name }) => name) }
    const wrong = (problem: string) => new WrongModel({ problem, ...ports })
    const [only] = ports.inputs
    const port = input ?? only
    if (port === undefined || !ports.inputs.includes(port) || (input === undefined && ports.inputs.length > 1)) {
      return yield* wrong(
        input === undefined ? "there is not exactly one input; name one" : `there is no input ${input}`
      )
    }
    const output = options.output ?? ports.outputs[0] ?? ""
    if (!ports.outputs.includes(output)) return yield* wrong(`there is no output ${output}`)
    if (options.output === undefined && ports.outputs.length > 1) {
      return yield* wrong("there are several outputs; name one")
    }

    // A model with a fixed batch size gets the images in parts; the last part is padded with zeros.
    const fixed = model.inputs.find(({ name }) => name === port)?.shape[0] ?? -1

    const once = Effect.fnUntraced(function*(pixels: Float32Array, shape: [number, 3, number, number]) {
      const found = (yield* model.run({ [port]: HostTensor.make(shape, "float32", pixels) }))[output]
      const [rows, tokens, width, ...more] = found?.shape ?? []
      const data = found?.data
      if (data !== undefined && !(data instanceof Float32Array)) {
        return yield* wrong(
          `${output} has the type ${found?.dtype}, but floating-point numbers of 16, 32 or 64 bits are expected`
        )
      }
      const fits = rows === shape[0] && tokens !== undefined && tokens > skip && width !== undefined &&
        more.length === 0
      if (data === undefined || !fits) {
        return yield* wrong(
          `${output} has the shape ${ShapeError.show(found?.shape ?? [])}, but [${
            shape[0]
          }, more than ${skip}, T] is expected`
        )
      }
      return { data, tokens, width }
    })

    const patchesOf = (
      found: { readonly data: Float32Array; readonly tokens: number; readonly width: number },
      size: number
    ) => {
      const row = (found.tokens - skip) * found.width
      const patches = new Float32Array(size * row)
      for (let i = 0; i < size; i++) {
        const from = (i * found.tokens + skip) * found.width
        patches.set(found.data.subarray(from, from + row), i * row)
      }
      return patches
    }

    const features = Effect.fnUntraced(
      function*<B extends number, H extends number, W extends number>(
        images: HostTensor.HostTensor<[B, 3, H, W], "float32">
      ) {
        const [batch, , height, width] = images.shape
        const pixels = Normalize.standardise(images.data, height * width, channels)
        const size = fixed > 0 ? fixed : batch
        let [tokens, channel] = [0, 0]
        const kept = yield* inParts(
          pixels,
          batch,
          size,
          (part) =>
            Effect.map(once(part, [size, 3, height, width]), (found) => {
              tokens = found.tokens - skip
              channel = found.width
              return patchesOf(found, size)
            })
        )
        return HostTensor.make([batch, tokens, channel], "float32", kept)
      },
      within(file)
    )
    // The model's metadata does not give the width reliably: free axes leave it open.
    const tried = yield* features(HostTensor.zeros([1, 3, imageSize, imageSize], "float32"))
    return Teacher.of({
      // Weights that are shared keep the name, and need not tell the folders of a machine.
      name: file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1),
      width: tried.shape[2],
      digest: Files.sha256(`${digest} ${output} ${skip} ${[...channels.mean, ...channels.std].join(" ")}`),
      computedOn: ComputedOn.of(engine.about),
      features
    })
  },
  (self, file) => within(file)(self)
)
