/** Networks on an engine as teachers. */
import { Effect, Scope } from "effect"
import * as Normalize from "../../domain/pixels/Normalize.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { HostOf, Inference } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { Engine, type EngineError } from "../engine/Engine.ts"
import { memoize } from "../files/Memoize.ts"
import type * as Weights from "../weights/Weights.ts"
import { inParts } from "./InParts.ts"
import { type TeacherError, within, WrongImages } from "./TeacherError.ts"
import { Teacher } from "./TeacherService.ts"

/** The sizes of a batch for a network. */
export interface Batch {
  readonly size: number
  readonly height: number
  readonly width: number
}

/** Computes features `[B, N, T]` of standardised pixels `[B, 3, H, W]`; patches row by row. */
export type Run = (pixels: Float32Array) => Effect.Effect<Float32Array, EngineError>

/** A network with its weights that serves as a teacher. */
export interface Network {
  readonly patch: number
  /** Number of features per patch. */
  readonly width: number
  readonly channels: Normalize.Channels
  /** SHA-256 of its architecture and weights. */
  readonly digest: string
  /**
   * Side of the images, in pixels, if the network takes only one size. When absent, sides can be any multiples of the patch
   * size.
   */
  readonly side?: number
  /** Opens the network for batches of one size. It stays open until the scope closes. */
  readonly open: (
    batch: Batch
  ) => Effect.Effect<Run, EngineError | Weights.WeightsError, Engine | Scope.Scope>
}

/** Opens an inference of images on the engine. `features` selects the features among its outputs. */
export const open = Effect.fnUntraced(function*<W, I extends [number, number, number, number], O>(
  inference: Inference<W, { readonly images: Tensor<I> }, O>,
  weights: HostOf<W>,
  features: (outputs: HostOf<O>) => Float32Array
) {
  const handle = yield* (yield* Engine).infer(inference, weights)
  const { shape } = inference.batch.images
  const run: Run = (pixels) => Effect.map(handle.run({ images: HostTensor.make(shape, "float32", pixels) }), features)
  return run
})

/** Makes a teacher from a network. `name` is the teacher's name. */
export const make = Effect.fn("patchword.Teacher.layerNetwork")(
  function*<R>(name: string, made: Effect.Effect<Network, TeacherError["reason"], R>) {
    const network = yield* made
    const { channels, patch, side, width: channel } = network
    const scope = yield* Scope.Scope
    const engine = yield* Engine

    // Programs have fixed shapes and hold the weights, so there is one program per size of images. Its batch size is that of
    // the first batch of this size. Other batches are run in parts; the last part is padded with zeros.
    const sizes = new Map<string, number>()
    const opened = yield* memoize((key) => {
      const [height, width] = key.split("x").map(Number) as [number, number]
      return network.open({ size: sizes.get(key)!, height, width }).pipe(
        Scope.provide(scope),
        Effect.provideService(Engine, engine)
      )
    })

    const features = Effect.fnUntraced(
      function*<B extends number, H extends number, W extends number>(
        images: HostTensor.HostTensor<[B, 3, H, W], "float32">
      ) {
        const [batch, , height, width] = images.shape
        const sides = side === undefined
          ? `H, W] with sides that are multiples of ${patch}`
          : `${side}, ${side}]`
        if (side === undefined ? height % patch !== 0 || width % patch !== 0 : height !== side || width !== side) {
          return yield* new WrongImages({ given: ShapeError.show(images.shape), expected: `[B, 3, ${sides}` })
        }
        const key = `${height}x${width}`
        const size = sizes.get(key) ?? batch
        sizes.set(key, size)
        const run = yield* opened(key)
        const tokens = (height / patch) * (width / patch)
        const pixels = Normalize.standardise(images.data, height * width, channels)
        const data = yield* inParts(pixels, batch, size, run)
        return HostTensor.make([batch, tokens, channel], "float32", data)
      },
      within(name)
    )
    return Teacher.of({
      name,
      width: channel,
      digest: network.digest,
      computedOn: ComputedOn.of(engine.about),
      features
    })
  },
  (self, name) => within(name)(self)
)
