import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as ImageNetSubset from "../../src/domain/evaluation/ImageNetSubset.ts"
import * as MeanIou from "../../src/domain/evaluation/MeanIou.ts"
import * as Golden from "../parity/golden.ts"

const { info } = Golden.json("misc")
const golden = Golden.tensors("misc")
const map = (key: string) => Int32Array.from(golden(`miou/${key}`).data, Number)

describe("mean IoU", () => {
  it("is the official one, whatever the order and grouping of images", () => {
    const { aAcc, classes, iou, mAcc, mIoU } = info.miou
    const [predicted, labels] = [map("pred"), map("gt")]
    const image = labels.length / 3
    const one = (counts: MeanIou.Counts, i: number) =>
      MeanIou.add(
        counts,
        predicted.subarray(i * image, (i + 1) * image),
        labels.subarray(i * image, (i + 1) * image)
      )
    const counts = [2, 0, 1].reduce(one, MeanIou.empty(classes))
    assert.deepStrictEqual(counts, MeanIou.add(MeanIou.empty(classes), predicted, labels))
    const found = MeanIou.scores(counts)
    assert.strictEqual(found.iou.length, iou.length)
    found.iou.forEach((share, label) =>
      iou[label] === null ? assert.isUndefined(share) : assert.closeTo(share!, iou[label], 1e-12)
    )
    assert.closeTo(found.meanIou, mIoU, 1e-12)
    assert.closeTo(found.meanAccuracy, mAcc, 1e-12)
    assert.closeTo(found.pixelAccuracy, aAcc, 1e-12)
  })

  it("of the foreground counts all objects as one class", () => {
    const counts = MeanIou.add(MeanIou.empty(3), Int32Array.of(0, 0, 1, 2, 2, 1), Int32Array.of(0, 1, 1, 1, 0, 255))
    assert.strictEqual(MeanIou.foreground(counts), 2 / 4)
    const ground = MeanIou.add(MeanIou.empty(3), Int32Array.of(0, 1), Int32Array.of(0, 255))
    assert.isUndefined(MeanIou.foreground(ground))
  })

  it("is 0 where nothing counts, and refuses what cannot be counted", () => {
    assert.strictEqual(MeanIou.scores(MeanIou.empty(2)).meanIou, 0)
    const add = (predicted: Int32Array, labels: Int32Array) => () => MeanIou.add(MeanIou.empty(2), predicted, labels)
    assert.throws(add(Int32Array.of(0), Int32Array.of(0, 1)), /1 predictions but 2 labels/)
    assert.throws(add(Int32Array.of(2), Int32Array.of(0)), /there are 2 classes/)
    assert.throws(add(Int32Array.of(0), Int32Array.of(3)), /label 3/)
  })
})

describe("classes of ImageNet", () => {
  it.each(["a", "r"] as const)("of ImageNet-%s are the official ones", (letter) => {
    const official = info[`imagenet_${letter}_mask`]
    const mask = ImageNetSubset.mask(`imagenet-${letter}`)
    const classes = ImageNetSubset.classes(`imagenet-${letter}`)
    assert.strictEqual(mask.length, official.length)
    assert.strictEqual(classes.length, official.true)
    assert.deepStrictEqual([classes.at(0), classes.at(-1)], [official.first, official.last])
    const digest = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex")
    assert.strictEqual(digest(mask.join("")), official.sha256_of_01_string)
    assert.strictEqual(digest(new Uint8Array(classes.buffer)), official.sha256_of_int32_le_indices)
  })

  it("are selected in every row", () => {
    const logits = Float32Array.from({ length: 2000 }, (_, i) => i)
    const found = ImageNetSubset.select(logits, "imagenet-r")
    const classes = ImageNetSubset.classes("imagenet-r")
    assert.deepStrictEqual(found.subarray(0, 200), Float32Array.from(classes))
    assert.deepStrictEqual(found.subarray(200), Float32Array.from(classes, (i) => i + 1000))
    assert.throws(() => ImageNetSubset.select(new Float32Array(3), "imagenet-r"), /3 logits/)
  })
})
