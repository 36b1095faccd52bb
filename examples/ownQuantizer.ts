/** A tokenizer with a quantizer of one's own: `npm run example examples/ownQuantizer.ts`. */
import { Console, Effect, Layer } from "effect"
import { Preset, Presets } from "patchword/domain"
import { Engine, Images, Runs, Teacher } from "patchword/layers"
import type { Quantizer } from "patchword/nn"
import { encode, trainTokenizer } from "patchword/pipelines"
import { Codes, Dim, Elementwise, HostTensor, Normalization, Reduction, Tensor } from "patchword/shapes"

/** A vector's code are the signs of its channels on the unit sphere, the first channel's first. */
export const signs = (channels: number): Quantizer.Named => {
  const codeWidth = Dim.named("codeWidth", channels)
  const powers = HostTensor.make([codeWidth], "float32", Float32Array.from({ length: channels }, (_, i) => 2 ** i))
  return {
    name: "signs",
    codes: Dim.named("codes", 2 ** channels),
    codeWidth,
    quantize: (_, vectors) => {
      const z = Normalization.l2Normalize(vectors)
      const positive = Elementwise.toFloat(Elementwise.isBelow(Elementwise.scale(z, -1), 0))
      const corner = Elementwise.scale(Elementwise.shift(positive, -0.5), 2 / Math.sqrt(channels))
      return {
        z,
        codes: Codes.fromFloat(Reduction.sumAlong(Elementwise.scaleChannels(positive, Tensor.constant(powers)), 1)),
        z_q: Codes.straightThrough(z, corner),
        losses: { commitment: Reduction.mean(Elementwise.square(Elementwise.sub(z, corner))) }
      }
    }
  }
}

const short = { optimizer: { duration: 15, warmup: 2 }, codebook: { size: 256, dim: 8, kmeans: false, revival: null } }

/** Trains it on the demo's emoji, and tells how many codes occur in them. */
export const emoji = Effect.gen(function*() {
  const preset = yield* Preset.with(Presets.tiny, { tokenizer: short })
  const tokenizer = yield* trainTokenizer(preset.tokenizer, { quantizer: signs(8) })
  const found = new Set<number>()
  yield* encode(
    tokenizer,
    yield* (yield* Images.Images).load("in-new"),
    (images) => Effect.sync(() => images.forEach(({ codes }) => codes.forEach((code) => found.add(code))))
  )
  yield* Console.log(`${found.size} of 256 codes occur`)
}).pipe(
  Effect.provide(
    Layer.mergeAll(
      Engine.layerOnnx(),
      Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 }),
      Runs.layer("runs/signs", { config: { preset: "tiny", short } })
    ).pipe(Layer.provideMerge(Images.layerEmoji()))
  )
)

if (import.meta.main) await Effect.runPromise(emoji)
