import { assert, describe, it } from "@effect/vitest"
import * as Mixup from "../../src/domain/method/Mixup.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Loss from "../../src/shapes/Loss.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Eager from "../parity/eager.ts"
import * as Golden from "../parity/golden.ts"

interface Draw {
  readonly kind: "mixup" | "cutmix"
  readonly rep: number
  readonly lam_drawn: number
  readonly lam: number
  readonly box_yl_yh_xl_xh?: readonly [number, number, number, number]
}

const golden = Golden.tensors("mixup")
const { info } = Golden.json("mixup")
const numbers = (key: string) => Float32Array.from(golden(key).data)
const labels = Int32Array.from(golden("input/labels").data, Number)
const batch = { data: numbers("input/images"), shape: [4, 3, 12, 12] } as const
const draws: ReadonlyArray<Draw> = info.draws

const near = (actual: Float32Array, expected: Float32Array, bound: number) => {
  assert.strictEqual(actual.length, expected.length)
  assert.isAtMost(Math.max(...actual.map((x, i) => Math.abs(x - expected[i]!))), bound)
}

const moments = (shares: ReadonlyArray<number>) => {
  const mean = shares.reduce((sum, x) => sum + x, 0) / shares.length
  return { mean, variance: shares.reduce((sum, x) => sum + (x - mean) ** 2, 0) / shares.length }
}

const mixOf = ({ box_yl_yh_xl_xh: official, lam }: Draw): Mixup.Mix => {
  if (official === undefined) return { share: lam, box: null }
  const [top, bottom, left, right] = official
  return { share: lam, box: { top, bottom, left, right } }
}

describe("mixup", () => {
  it.each(draws)("mixes images and targets officially: $kind $rep", (draw) => {
    const mix = mixOf(draw)
    near(Mixup.images(batch, mix), numbers(`${draw.kind}_${draw.rep}/images`), 1e-6)
    const targets = Mixup.targets(labels, mix, { classes: 10, smoothing: 0.1 })
    near(targets, numbers(`${draw.kind}_${draw.rep}/targets`), 1e-7)
  })

  it.each(draws)("pauses between two images: $kind $rep", (draw) => {
    assert.lengthOf([...Mixup.mixing(batch, mixOf(draw))], 3)
  })

  it.each(draws.filter(({ kind }) => kind === "cutmix"))("cuts the official share out: $rep", (draw) => {
    const [top, bottom, left, right] = draw.box_yl_yh_xl_xh!
    const size = { height: 12, width: 12 }
    const centres = Array.from({ length: 144 }, (_, i) => ({ row: Math.floor(i / 12), column: i % 12 }))
    const found = centres.map((centre) => Mixup.cut(draw.lam_drawn, size, centre))
    const same = found.filter(({ box }) =>
      box!.top === top && box!.bottom === bottom && box!.left === left && box!.right === right
    )
    assert.isAtLeast(same.length, 1)
    for (const { share } of same) assert.closeTo(share, draw.lam, 1e-12)
  })

  it("draws shares of the official distributions, as often to cut as to mix", () => {
    const found = Array.from({ length: 20_000 }, (_, index) =>
      Mixup.draw(
        { mixup: 0.8, cutmix: 1 },
        { height: 512, width: 512 },
        KeyedRandom.generator({ seed: 3, purpose: "mixup", epoch: 0, index })
      ))
    const mixed = found.filter(({ box }) => box === null)
    assert.closeTo(mixed.length / found.length, 0.5, 0.02)
    const { mean, variance } = moments(mixed.map(({ share }) => share))
    assert.closeTo(mean, 0.5, 0.015)
    assert.closeTo(variance, 1 / (4 * 2.6), 0.004)
    for (const alpha of [0.2, 1, 4]) {
      const shares = Array.from(
        { length: 20_000 },
        (_, index) => Mixup.beta(alpha, KeyedRandom.generator({ seed: 4, purpose: `beta ${alpha}`, epoch: 0, index }))
      )
      assert.closeTo(moments(shares).mean, 0.5, 0.015)
      assert.closeTo(moments(shares).variance, 1 / (4 * (2 * alpha + 1)), 0.004)
    }
  })

  it("draws shares of 0 and 1, and none of one half, where alpha is as small as that", () => {
    for (const alpha of [1e-3, 1e-4, 1e-12, Number.MIN_VALUE]) {
      const shares = Array.from(
        { length: 4000 },
        (_, index) => Mixup.beta(alpha, KeyedRandom.generator({ seed: 1, purpose: "small", epoch: 0, index }))
      )
      assert.isTrue(shares.every((share) => share >= 0 && share <= 1), `${alpha}`)
      assert.isEmpty(shares.filter((share) => share === 0.5), `${alpha}`)
      assert.closeTo(moments(shares).mean, 0.5, 0.03)
      // Of Beta(a, a), about 2 a ln(99) of the probability lies between 0.01 and 0.99.
      assert.closeTo(
        shares.filter((share) => share > 0.01 && share < 0.99).length / shares.length,
        alpha * Math.log(99),
        0.004
      )
    }
  })

  it("draws the same bytes as ever where alpha is usual", () => {
    const shares = [0.2, 0.8, 1, 4].map((alpha) =>
      Mixup.beta(alpha, KeyedRandom.generator({ seed: 4, purpose: "bytes", epoch: 0, index: 0 }))
    )
    assert.deepStrictEqual(shares, [0.010421729260026963, 0.06554557814167918, 0.4960908495026815, 0.4990235691636758])
  })

  it("refuses labels beyond the classes, which would stand in the next image's row", () => {
    const options = { classes: 2, smoothing: 0 }
    for (const label of [2, -1]) {
      assert.throws(
        () => Mixup.targets(Int32Array.of(0, label), { share: 1, box: null }, options),
        new RegExp(`mixup: label ${label} is not in 0..1`)
      )
    }
  })

  it("does one of the two only where the other has no alpha", () => {
    const draw = (mixup: number, cutmix: number) =>
      Array.from({ length: 50 }, (_, index) =>
        Mixup.draw(
          { mixup, cutmix },
          { height: 8, width: 8 },
          KeyedRandom.generator({ seed: 0, purpose: "one", epoch: 0, index })
        ))
    assert.isTrue(draw(0.8, 0).every(({ box }) => box === null))
    assert.isTrue(draw(0, 1).every(({ box }) => box !== null))
    assert.deepStrictEqual(draw(0, 0)[0], { share: 1, box: null })
  })

  it("names the label of the larger share", () => {
    assert.deepStrictEqual(
      Mixup.majority(Int32Array.of(1, 2, 3, 4), { share: 0.7, box: null }),
      Int32Array.of(1, 2, 3, 4)
    )
    assert.deepStrictEqual(
      Mixup.majority(Int32Array.of(1, 2, 3, 4), { share: 0.3, box: null }),
      Int32Array.of(4, 3, 2, 1)
    )
  })

  it("has the official losses", () => {
    const targets = Mixup.targets(labels, mixOf(draws[0]!), { classes: 10, smoothing: 0.1 })
    const found = Eager.eagerly(
      {
        logits: HostTensor.make([4, 10], "float32", numbers("loss/logits")),
        targets: HostTensor.make([4, 10], "float32", targets),
        labels: HostTensor.make([4], "int32", labels)
      },
      (given: {
        readonly logits: Tensor<[4, 10]>
        readonly targets: Tensor<[4, 10]>
        readonly labels: Tensor<[4], "int32">
      }) => ({
        soft: Loss.softCrossEntropy(given.logits, given.targets),
        smooth: Loss.crossEntropy(given.logits, given.labels, 0.1),
        plain: Loss.crossEntropy(given.logits, given.labels)
      })
    )
    const official = (key: string) => numbers(`loss/${key}`)[0]!
    assert.closeTo(HostTensor.item(found.soft), official("soft_target_ce"), 1e-6)
    assert.closeTo(HostTensor.item(found.smooth), official("label_smoothing_0.1"), 1e-6)
    assert.closeTo(HostTensor.item(found.plain), official("ce"), 1e-6)
  })
})
