import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as RelativePosition from "../../src/domain/method/RelativePosition.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { AdamW, LinearHead, Parameter, Segmenter, SegmentStep, Vit } from "../../src/nn/index.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import { onnx, openvino, present, reference, tensorflow, xla } from "../layers/engine/engines.ts"

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

describe.each(present([onnx, openvino, tensorflow, xla, reference]))("a linear head, $name", (engine) => {
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
