import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import * as AdamW from "../../src/nn/optimizer/AdamW.ts"
import * as Mim from "../../src/nn/pretrain/Mim.ts"
import * as PretrainStep from "../../src/nn/pretrain/PretrainStep.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tokens from "../../src/shapes/Tokens.ts"
import { infer, looking, train } from "../parity/engine.ts"

const engines = [["onnx", Engine.layerOnnx()], ["reference", Engine.layerReference]] as const

const sizes = {
  ...Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 }),
  hidden: 12,
  relativeRows: 12,
  depth: 2,
  absolutePositions: true,
  relativePositions: "shared",
  qkvBias: true,
  layerScale: 0.5,
  initStd: 0.5,
  codes: 5,
  aggregation: { earlyLayer: 1, headDepth: 1, sharedHead: true }
} as const

const betas = [0.9, 0.98] as const

const spec = Mim.spec(sizes)
const parameters = Parameter.initialise(spec, 0)

const values = (purpose: string, length: number): Float32Array => {
  const { normal } = KeyedRandom.generator({ seed: 0, purpose, epoch: 0, index: 0 })
  return Float32Array.from({ length }, normal)
}

const images = HostTensor.make([3, 3, 16, 16], "float32", values("images", 3 * 768))

const seen = looking(
  PretrainStep.predict(sizes, { size: 3, masked: 12 }),
  ({ parameters }, { images, mask, rows }) => {
    const context = { heads: 2, index: Vit.relativeIndex(sizes), earlyLayer: 1 } as const
    const { aggregated, last } = Mim.hidden(parameters, images, mask, rows, context)
    const whole = Vit.forward(parameters, Tokens.patchEmbed(images, parameters.patch_embed.proj), context)
    return { last, aggregated: aggregated!, unmasked: Tokens.rows(Tokens.patchTokens(whole, 4)) }
  }
)

const [ALL, NONE, SOME] = [[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 0]] as const

const maskOf = (...of: readonly [ReadonlyArray<number>, ReadonlyArray<number>, ReadonlyArray<number>]) =>
  HostTensor.make([3, 4], "bool", Uint8Array.from(of.flat()))

const rowsOf = <M extends number>(rows: ReadonlyArray<number>, count: M) =>
  HostTensor.make([count], "int32", Int32Array.from(rows))

const look = (given: { readonly images: typeof images; readonly weights: typeof parameters }) =>
  infer(seen, { parameters: given.weights }, {
    images: given.images,
    mask: maskOf(ALL, NONE, SOME),
    rows: rowsOf(Array.from({ length: 12 }, (_, row) => row), 12),
    labels: HostTensor.zeros([12], "int32")
  })

const outputs = ["last", "aggregated"] as const

const ofImage = (tokens: HostTensor.Any, image: number) => Array.from(tokens.data.slice(32 * image, 32 * (image + 1)))

const adamw: AdamW.Options = { betas, weightDecay: 0.05, clipNorm: null, decays: (_, rank) => rank > 1 }

const trainedOn = (mask: ReturnType<typeof maskOf>, rows: ReadonlyArray<number>) => {
  const step = PretrainStep.step(sizes, { size: 3, masked: 6, dropPath: false }, adamw)
  const still = Parameter.zerosLike(spec)
  return Effect.map(
    train(step, { parameters, first: still, second: still }, [{
      images,
      mask,
      rows: rowsOf(rows, 6),
      labels: rowsOf([0, 1, 2, 3, 4, 0], 6),
      hyper: AdamW.hyper(0, 1e-3, { betas, eps: 1e-8 })
    }]),
    ([taken]) => taken!
  )
}

describe.each(engines)("masked modelling, %s", (_, layer) => {
  it.effect("does not see an image that is masked whole", () =>
    Effect.gen(function*() {
      const before = yield* look({ images, weights: parameters })
      const other = { ...images, data: images.data.map((x, at) => (at < 768 ? 2 - 3 * x : x)) }
      const after = yield* look({ images: other, weights: parameters })
      for (const output of outputs) {
        assert.isTrue(before[output].data.every(Number.isFinite))
        assert.deepStrictEqual(after[output].data, before[output].data)
      }
      assert.notDeepEqual(ofImage(after.unmasked, 0), ofImage(before.unmasked, 0))
    }).pipe(Effect.provide(layer)))

  it.effect("sees the whole of an image that is not masked", () =>
    Effect.gen(function*() {
      const before = yield* look({ images, weights: parameters })
      ofImage(before.last, 1).forEach((x, at) => assert.closeTo(x, ofImage(before.unmasked, 1)[at]!, 1e-6))
      const token = HostTensor.make([1, 1, 8], "float32", values("token", 8))
      const after = yield* look({ images, weights: { ...parameters, mask_token: token } })
      for (const output of outputs) {
        assert.deepStrictEqual(ofImage(after[output], 1), ofImage(before[output], 1))
        for (const image of [0, 2]) {
          assert.notDeepEqual(ofImage(after[output], image), ofImage(before[output], image))
        }
      }
    }).pipe(Effect.provide(layer)))

  it.effect("learns from both at once", () =>
    Effect.gen(function*() {
      const { metrics, state: { first } } = yield* trainedOn(maskOf(ALL, NONE, SOME), [0, 1, 2, 3, 9, 10])
      for (const { data } of Object.values(metrics)) assert.isTrue(data.every(Number.isFinite))
      for (const { data } of [first.mask_token, first.patch_embed.proj.weight, first.cls_token]) {
        assert.isTrue(data.some((x) => x !== 0))
      }
    }).pipe(Effect.provide(layer)))

  it.effect("learns nothing of patches where all are masked, and of the mask where none is", () =>
    Effect.gen(function*() {
      const rows = [0, 2, 4, 6, 8, 10]
      const blind = yield* trainedOn(maskOf(ALL, ALL, ALL), rows)
      const open = yield* trainedOn(maskOf(NONE, NONE, NONE), rows)
      assert.isTrue(blind.state.first.patch_embed.proj.weight.data.every((x) => x === 0))
      assert.isTrue(blind.state.first.mask_token.data.some((x) => x !== 0))
      assert.isTrue(open.state.first.mask_token.data.every((x) => x === 0))
      assert.isTrue(open.state.first.patch_embed.proj.weight.data.some((x) => x !== 0))
    }).pipe(Effect.provide(layer)))
})

describe("drop path in masked modelling", () => {
  it("skips branches of all blocks, those of aggregation too", () => {
    const { batch } = PretrainStep.step(sizes, { size: 3, masked: 6, dropPath: true }, adamw)
    assert.strictEqual(batch.dropPath?.length, sizes.depth + sizes.aggregation.headDepth)
  })
})

describe("the loss of predicted codes", () => {
  it.effect("counts every code, and no label that stands for none", () =>
    Effect.gen(function*() {
      const lossOf = (label: number) =>
        infer(PretrainStep.predict(sizes, { size: 3, masked: 2 }), { parameters }, {
          images,
          mask: maskOf(ALL, NONE, NONE),
          rows: rowsOf([0, 3], 2),
          labels: rowsOf([label, PretrainStep.UNCOUNTED], 2)
        }).pipe(Effect.map(({ loss }) => HostTensor.item(loss)))
      for (let code = 0; code < sizes.codes; code++) assert.isAbove(yield* lossOf(code), 0)
      assert.strictEqual(yield* lossOf(PretrainStep.UNCOUNTED), 0)
    }).pipe(Effect.provide(Engine.layerReference)))
})
