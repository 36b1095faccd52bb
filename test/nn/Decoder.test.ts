import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Eager from "../../src/laws/Eager.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { AdamW, DecoderStep, Parameter, Perception, PixelDecoder, Vit, Vqkd } from "../../src/nn/index.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import type * as Tensor from "../../src/shapes/Tensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { onnx, present, reference, tensorflow } from "../layers/engine/engines.ts"

const dims = Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 })
const sizes = { ...dims, hidden: 12, depth: 1, codes: 4, codeWidth: 3 } as const
const seeing = {
  ...dims,
  hidden: 12,
  depth: 1,
  decoderDepth: 1,
  qkvBias: true,
  codes: 4,
  codeWidth: 3,
  teacherWidth: 4
} as const
const channels = { mean: [0.5, 0.4, 0.3], std: [0.25, 0.3, 0.2] } as const

const betas = [0.9, 0.95] as const
const adamw = { betas, weightDecay: 0, clipNorm: null, decays: () => false }

const numbers = (purpose: string, shape: ReadonlyArray<number>, of: (draw: KeyedRandom.Generator) => number) => {
  const draw = KeyedRandom.generator({ seed: 0, purpose, epoch: 0, index: 0 })
  return Float32Array.from({ length: HostTensor.size(shape) }, () => of(draw))
}

const images = HostTensor.make([2, 3, 16, 16], "float32", numbers("images", [2, 3, 16, 16], ({ uniform }) => uniform()))
const codes = HostTensor.make([8], "int32", Int32Array.of(0, 1, 2, 0, 3, 3, 1, 0))
const codebook = HostTensor.make([4, 3], "float32", numbers("codebook", [4, 3], ({ normal }) => normal()))

const perceptual = { factor: 0.5, perception: Perception.ofTokenizer<2, typeof seeing>(seeing) }

const stepOf = (seen: boolean) => DecoderStep.step(sizes, 2, { adamw, channels, ...(seen && { perceptual }) })

interface Inputs {
  readonly state: DecoderStep.State<typeof sizes>
  readonly batch: DecoderStep.Batch<2, typeof sizes>
}

type Weights = DecoderStep.Weights<typeof sizes>
type Drawing = ReturnType<typeof DecoderStep.draw<2, typeof sizes>>

interface Drawn extends Weights {
  readonly codes: Parameters<Drawing["run"]>[1]["codes"]
}

type State = HostOf<DecoderStep.State<typeof sizes>>

const initial = (seen: boolean, spread = 1): State => {
  const spec = PixelDecoder.spec(sizes)
  const begun = AdamW.initial(Parameter.initialise(spec, 0), spec)
  const wide = (tree: object) =>
    Tree.map<object>(tree, (leaf, path) => {
      const { data, ...rest } = leaf as HostTensor.HostTensor<Array<number>, "float32">
      return { ...rest, data: /norm/.test(path) ? data.slice() : data.map((value) => spread * value) }
    })
  const encoder = Parameter.initialise({ encoder: Vqkd.spec(seeing).encoder }, 1)
  const state: unknown = {
    ...begun,
    parameters: wide(begun.parameters),
    frozen: { codebook, ...(seen && { perception: wide(encoder) }) },
    baseline: {
      means: HostTensor.zeros([4, 192], "float32"),
      seen: HostTensor.zeros([4], "float32")
    }
  }
  return state as State
}

const batch = (step: number) => ({ images, codes, hyper: AdamW.hyper(step, 5e-3, { betas, eps: 1e-8 }) })

const trained = Effect.gen(function*() {
  const engine = yield* Engine.Engine
  const handle = yield* engine.train(stepOf(true), initial(true))
  const metrics = yield* Effect.forEach(Array.from({ length: 20 }, (_, i) => i), (i) => handle.run(batch(i)))
  const { state } = yield* handle.snapshot
  const drawing = yield* engine.infer(DecoderStep.draw(sizes, 2, channels), {
    parameters: state.parameters,
    codebook: state.frozen.codebook
  })
  const drawn = yield* drawing.run({ codes })
  return { losses: metrics.map(({ loss }) => HostTensor.item(loss)), metrics, state, drawn }
}).pipe(Effect.scoped)

describe.each(present([onnx, tensorflow, reference]))("a pixel decoder, $name", (engine) => {
  layer(engine.layer)((it) => {
    it.effect("learns, leaves the codebook and the other network as they are, and draws values from 0 to 1", () =>
      Effect.gen(function*() {
        const { drawn, losses, metrics, state } = yield* trained
        assert.isBelow(losses.at(-1)!, 0.97 * losses[0]!)
        const { loss, perceptual: distance, pixels } = metrics[0]!
        assert.closeTo(HostTensor.item(loss), HostTensor.item(pixels) + 0.5 * HostTensor.item(distance!), 1e-5)
        const before = new Map(Tree.leaves<HostTensor.Any>(initial(true).frozen))
        for (const [path, { data }] of Tree.leaves<HostTensor.Any>(state.frozen)) {
          assert.deepStrictEqual(data, before.get(path)!.data, path)
        }
        assert.deepStrictEqual(drawn.images.shape, [2, 3, 16, 16])
        assert.isTrue(drawn.images.data.every((value) => value >= 0 && value <= 1))
      }))
  })
})

describe("the mean patches of codes", () => {
  it.effect("are the means over all batches", () =>
    Effect.gen(function*() {
      const handle = yield* (yield* Engine.Engine).train(stepOf(false), initial(false))
      for (const step of [0, 1, 2]) yield* handle.run(batch(step))
      const { baseline: { means, seen } } = (yield* handle.snapshot).state
      assert.deepStrictEqual(Array.from(seen.data), [9, 6, 3, 6])
      const at = (image: number, patch: number, channel: number, row: number, column: number) => {
        const [y, x] = [8 * Math.floor(patch / 2) + row, 8 * (patch % 2) + column]
        const value = images.data[((image * 3 + channel) * 16 + y) * 16 + x]!
        return (value - channels.mean[channel]!) / channels.std[channel]!
      }
      for (let place = 0; place < 192; place++) {
        const [channel, row, column] = [Math.floor(place / 64), Math.floor(place / 8) % 8, place % 8]
        const zero = [[0, 0], [0, 3], [1, 3]].map(([image, patch]) => at(image!, patch!, channel, row, column))
        assert.closeTo(means.data[place]!, zero.reduce((a, b) => a + b) / 3, 1e-4)
        assert.closeTo(means.data[2 * 192 + place]!, at(0, 2, channel, row, column), 1e-4)
      }
    }).pipe(Effect.scoped, Effect.provide(Engine.layerReference)))
})

describe("a drawing", () => {
  it("has the decoder's patches in the units of images, cut off below 0 and above 1", () => {
    const { parameters } = initial(false, 60)
    const draw = DecoderStep.draw(sizes, 2, channels)
    const { drawn, patches } = Eager.run<Drawn, { drawn: ReturnType<Drawing["run"]>["images"]; patches: Tensor.Any }>(
      { parameters, codebook, codes },
      ({ codebook, codes, parameters }) => ({
        drawn: draw.run({ parameters, codebook }, { codes }).images,
        patches: PixelDecoder.forward<2, typeof sizes>(sizes, parameters, codebook, codes, 2)
      })
    )
    const expected = Array.from(drawn.data, (_, at) => {
      const [image, channel, y, x] = [Math.floor(at / 768), Math.floor(at / 256) % 3, Math.floor(at / 16) % 16, at % 16]
      const patch = 4 * image + 2 * Math.floor(y / 8) + Math.floor(x / 8)
      const value = patches.data[192 * patch + 64 * channel + 8 * (y % 8) + x % 8]!
      return Math.min(1, Math.max(0, value * channels.std[channel]! + channels.mean[channel]!))
    })
    drawn.data.forEach((value, at) => assert.closeTo(value, expected[at]!, 1e-5))
    const share = (is: (value: number) => boolean) => expected.filter(is).length / expected.length
    assert.isAbove(share((value) => value === 0), 0.01)
    assert.isAbove(share((value) => value === 1), 0.01)
    assert.isAbove(share((value) => value > 0 && value < 1), 0.3)
  })
})

describe("the gradient of the loss", () => {
  const step = stepOf(true)
  const begun = initial(true, 12)
  const ran = (state: State) =>
    Eager.run<Inputs, ReturnType<typeof step.run>>(
      { state, batch: batch(0) },
      (given) => step.run(given.state, given.batch)
    )

  it("is that of finite differences, through the frozen network", () => {
    const { first } = ran(begun).state
    const paths = ["head.weight", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight", "pos_embed", "fc_norm.weight"]
    const gradients = new Map(Tree.leaves<HostTensor.HostTensor<Array<number>, "float32">>(first))
    for (const path of paths) {
      // The first moment after one step is a tenth of the gradient.
      const gradient = gradients.get(path)!.data.map((value) => 10 * value)
      const length = Math.hypot(...gradient)
      assert.isAbove(length, 1e-3, path)
      const moved = (by: number): number => {
        const parameters = Tree.map<State["parameters"]>(begun.parameters, (leaf, own) => {
          const { data, ...rest } = leaf as HostTensor.HostTensor<Array<number>, "float32">
          return own === path ? { ...rest, data: data.map((value, i) => value + by * gradient[i]! / length) } : leaf
        })
        return HostTensor.item(ran({ ...begun, parameters }).metrics.loss)
      }
      const slope = (moved(1e-2) - moved(-1e-2)) / 2e-2
      assert.closeTo(slope / length, 1, 0.02, path)
    }
  })
})
