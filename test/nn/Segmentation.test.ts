import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as RelativePosition from "../../src/domain/method/RelativePosition.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import {
  AdamW,
  Dropout,
  LinearHead,
  Parameter,
  PatchFeatures,
  Segmenter,
  SegmentStep,
  UperNet,
  Vit,
  WindowLogits
} from "../../src/nn/index.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { ShapeError } from "../../src/shapes/ShapeError.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import { onnx, present, reference, tensorflow } from "../layers/engine/engines.ts"

const sizes = {
  ...Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 }),
  hidden: 12,
  relativeRows: 12,
  depth: 2,
  taps: [1, 1, 2, 2],
  absolutePositions: false,
  relativePositions: "perBlock",
  qkvBias: true,
  layerScale: 0.1,
  classes: 3
} as const

const betas = [0.9, 0.999] as const
const adamw = { betas, weightDecay: 0.05, clipNorm: null, decays: (_: string, rank: number) => rank > 1 }
const head = LinearHead.make(sizes)

const images = HostTensor.make(
  [2, 3, 16, 16],
  "float32",
  Float32Array.from({ length: 1536 }, (_, i) => Math.sin(i * 7))
)
const labels = HostTensor.make(
  [2, 16, 16],
  "int32",
  Int32Array.from({ length: 512 }, (_, i) => (i % 16 < 3 ? 255 : Math.floor(i / 128) % 3))
)

const initial = () => {
  const spec = Segmenter.spec(sizes, head)
  return { ...AdamW.initial(Parameter.initialise(spec, 0), spec), running: Parameter.initialise(head.running, 0) }
}

const trained = Effect.gen(function*() {
  const step = SegmentStep.step(sizes, { size: 2, dropPath: false, dropout: false }, { head, adamw })
  const engine = yield* Engine.Engine
  const handle = yield* engine.train(step, initial() as HostOf<SegmentStep.State<typeof sizes, LinearHead.Parts<8, 3>>>)
  const metrics = yield* Effect.forEach(
    Array.from({ length: 12 }, (_, i) => i),
    (i) => handle.run({ images, labels, hyper: AdamW.hyper(i, 1e-2, { betas, eps: 1e-8 }) })
  )
  const { state } = yield* handle.snapshot
  const seen = yield* engine.infer(SegmentStep.logits(sizes, 2, head), {
    parameters: state.parameters,
    running: state.running
  })
  const { logits } = yield* seen.run({ images })
  return { losses: metrics.map(({ loss }) => HostTensor.item(loss)), logits, running: state.running, metrics }
}).pipe(Effect.scoped)

describe.each(present([onnx, tensorflow, reference]))("a linear head, $name", (engine) => {
  layer(engine.layer)((it) => {
    it.effect("learns, and moves its running statistics", () =>
      Effect.gen(function*() {
        const { logits, losses, metrics, running } = yield* trained
        assert.isBelow(losses.at(-1)!, 0.75 * losses[0]!)
        // Ignored pixels count as wrong.
        assert.isAtMost(HostTensor.item(metrics.at(-1)!.accuracy), 13 / 16)
        assert.deepStrictEqual(logits.shape, [2, 3, 16, 16])
        const moved = running.decode_head.bn.running_var.data
        assert.isTrue(moved.every((value) => value !== 1 && Number.isFinite(value)))
      }))

    it.effect("sees normalised tokens behind a final norm, as those who fit it do", () =>
      Effect.gen(function*() {
        const { infer } = yield* Engine.Engine
        const { parameters, running } = initial()
        const weights = { parameters: { backbone: parameters.backbone } }
        const rows = Effect.fnUntraced(function*(finalNorm: boolean) {
          const seen = yield* infer(PatchFeatures.inference(sizes, 2, { finalNorm }), weights as never)
          const { features: { data } } = yield* seen.run({ images })
          const patches = data.length / 16
          return Array.from({ length: 2 * patches }, (_, row) => {
            const [image, patch] = [Math.floor(row / patches), row % patches]
            return Array.from({ length: 8 }, (_, channel) => data[(image * 8 + channel) * patches + patch]!)
          })
        })
        const normed = yield* rows(true)
        const close = (found: Iterable<number>, expected: ReadonlyArray<number>) =>
          Array.from(found, (x, i) => assert.closeTo(x, expected[i]!, 1e-4))
        for (const [at, row] of (yield* rows(false)).entries()) {
          const mean = row.reduce((sum, x) => sum + x / 8, 0)
          const variance = row.reduce((sum, x) => sum + (x - mean) ** 2 / 8, 0)
          close(normed[at]!, row.map((x) => (x - mean) / Math.sqrt(variance + 1e-6)))
        }
        const behind = LinearHead.make(sizes, { finalNorm: true })
        const seen = yield* infer(WindowLogits.inference(sizes, 2, behind), { parameters, running } as never)
        const { logits: { data, shape: [, classes] } } = yield* seen.run({ images })
        const { bias, weight } = parameters.decode_head.conv_seg
        const patches = normed.length / 2
        for (const [row, tokens] of normed.entries()) {
          const [image, patch] = [Math.floor(row / patches), row % patches]
          close(
            Array.from({ length: classes }, (_, kind) => data[(image * classes + kind) * patches + patch]!),
            Array.from({ length: classes }, (_, kind) =>
              tokens.reduce((sum, x, at) => sum + x * weight.data[8 * kind + at]!, bias.data[kind]!))
          )
        }
      }).pipe(Effect.scoped))
  })
})

describe("a segmenter", () => {
  it("has the official names", () => {
    const { backbone, decode_head } = Segmenter.spec(sizes, head)
    assert.strictEqual(sizes.relativeRows, RelativePosition.rows({ height: 2, width: 2 }))
    assert.deepStrictEqual(Object.keys(backbone), ["cls_token", "patch_embed", "blocks"])
    assert.deepStrictEqual(decode_head.conv_seg.weight.shape, [3, 8, 1, 1])
  })
})

describe("UperNet", () => {
  const given = { width: 8, channels: 6, auxiliaryChannels: 4, classes: 3 } as const

  it("has a pyramid for patches of 16 and 8 pixels only", () => {
    const { backbone } = UperNet.make({ ...given, patch: 16 }).parameters
    assert.deepStrictEqual(backbone.fpn1[1]?.weight.shape, [8])
    assert.deepStrictEqual(Object.keys(UperNet.make({ ...given, patch: 8 }).parameters.backbone), ["fpn1"])
    assert.throws(
      () => UperNet.make({ ...given, patch: 14 }),
      ShapeError,
      "UperNet: patches have 14 pixels but there are pyramids for 16 and 8 only"
    )
  })

  it("begins with the official distributions", () => {
    const head = UperNet.make({ width: 64, channels: 32, auxiliaryChannels: 16, classes: 20, patch: 16 })
    const { auxiliary_head, backbone, decode_head } = Parameter.initialise(head.parameters, 0)
    const deviation = ({ data }: { readonly data: Float32Array }) =>
      Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length)
    const near = (actual: number, expected: number) => assert.closeTo(actual / expected, 1, 0.1)
    near(deviation(decode_head.bottleneck.conv.weight), Math.sqrt(2 / (32 * 9)))
    near(deviation(decode_head.lateral_convs[1]!.conv.weight), Math.sqrt(2 / 32))
    near(deviation(auxiliary_head.convs[0].conv.weight), Math.sqrt(2 / (16 * 9)))
    near(deviation(decode_head.conv_seg.weight), 0.01)
    near(deviation(backbone.fpn1[0].weight), 1 / Math.sqrt(3 * 64 * 4))
    near(Math.max(...backbone.fpn1[0].weight.data), 1 / Math.sqrt(64 * 4))
  })

  it("needs two images in training", () => {
    const two = { ...sizes, ...Vit.dims({ image: 64, patch: 16, width: 8, heads: 2 }), relativeRows: 52 } as const
    const head = UperNet.make({ ...given, patch: 16 })
    const one = SegmentStep.step(two, { size: 1, dropPath: false, dropout: true }, { head, adamw })
    assert.throws(() => OnnxProgram.trainStep(one), ShapeError, /needs more than 1 value per channel but has 1/)
    const enough = SegmentStep.step(two, { size: 2, dropPath: false, dropout: true }, { head, adamw })
    assert.include(OnnxProgram.trainStep(enough).graph.inputs.map(({ name }) => name).join(), "dropout.decode_head")
  })
})

describe("dropped channels", () => {
  it("are drawn by their key, as often as the rate says", () => {
    const key = { seed: 1, purpose: "dropout", epoch: 0, index: 0 }
    const { data, shape } = Dropout.draw(0.1, [100, 64], key)
    assert.deepStrictEqual(shape, [100, 64])
    assert.closeTo(data.filter((factor) => factor === 0).length / data.length, 0.1, 0.015)
    assert.isTrue(data.every((factor) => factor === 0 || factor === Math.fround(1 / 0.9)))
    assert.deepStrictEqual(Dropout.draw(0.1, [100, 64], key).data, data)
    assert.notDeepEqual(Dropout.draw(0.1, [100, 64], { ...key, index: 1 }).data, data)
  })
})
