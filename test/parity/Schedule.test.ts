import { assert, describe, it } from "@effect/vitest"
import * as LayerDecay from "../../src/domain/LayerDecay.ts"
import * as Schedule from "../../src/domain/Schedule.ts"
import * as WeightDecay from "../../src/domain/WeightDecay.ts"
import * as Golden from "./golden.ts"

interface Cosine {
  readonly base: number
  readonly final: number
  readonly epochs: number
  readonly steps_per_epoch: number
  readonly warmup_epochs: number
  readonly warmup_steps: number
  readonly length: number
  readonly at: ReadonlyArray<number>
  readonly value: ReadonlyArray<number>
}

interface Group {
  readonly lr_scale: number
  readonly weight_decay: number
  readonly params: ReadonlyArray<string>
}

const info = Golden.json("misc").info
const cosines: ReadonlyArray<readonly [string, Cosine]> = Object.entries<Cosine>(info).filter(([name]) =>
  name.startsWith("cosine_")
)

describe("Schedule against the official cosine_scheduler", () => {
  it("covers every fixture", () => assert.isAtLeast(cosines.length, 8))

  it.each(cosines)("%s", (_, fixture) => {
    const rate = Schedule.cosine({
      peak: fixture.base,
      floor: fixture.final,
      warmup: fixture.warmup_steps > 0 ? fixture.warmup_steps : fixture.warmup_epochs * fixture.steps_per_epoch,
      total: fixture.length
    })
    fixture.at.forEach((step, i) => {
      const expected = fixture.value[i]!
      assert.closeTo(rate(step), expected, 1e-12 * Math.abs(expected) + 1e-18)
    })
  })
})

describe("LayerDecay and WeightDecay against the official parameter groups", () => {
  it("has the official scales", () => {
    LayerDecay.scales({ decay: 0.65, depth: 12 }).forEach((scale, i) => {
      assert.closeTo(scale, info.ft_base_layer_scales[i], 1e-12)
    })
    assert.strictEqual(info.ft_base_layer_scales.length, 14)
  })

  it("puts every parameter of fine-tuned base where the official optimiser does", () => {
    const groups: ReadonlyArray<Group> = info.ft_base_param_groups
    const shapes: Record<string, ReadonlyArray<number>> = info.ft_base_tensors
    let seen = 0
    for (const group of groups) {
      for (const name of group.params) {
        assert.closeTo(LayerDecay.scale(name, { decay: 0.65, depth: 12 }), group.lr_scale, 1e-12, name)
        assert.strictEqual(WeightDecay.decays("finetune", name, shapes[name]!.length), group.weight_decay > 0, name)
        seen++
      }
    }
    assert.strictEqual(seen, Object.keys(shapes).filter((name) => !name.endsWith("relative_position_index")).length)
  })

  const stages: ReadonlyArray<readonly [WeightDecay.Stage, string, string]> = [
    ["pretrain", "pretrain_base_cls_pt_tensors", "pretrain_base_no_decay"],
    ["tokenizer", "vqkd_base_3_tensors", "vqkd_no_decay"]
  ]
  it.each(stages)("spares in %s exactly the official parameters", (stage, tensors, spared) => {
    const names = Object.entries<ReadonlyArray<number>>(info[tensors])
      .filter(([name]) => !/relative_position_index$|^quantize\.|^teacher_model\.|^scaling_layer\./.test(name))
      .filter(([name, shape]) => !WeightDecay.decays(stage, name, shape.length))
      .map(([name]) => name)
    assert.deepStrictEqual(names.toSorted(), [...info[spared]].toSorted())
  })
})
