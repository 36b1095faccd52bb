import { assert, describe, it } from "@effect/vitest"
import { Result, Runtime } from "effect"
import * as Accuracy from "../../src/domain/evaluation/Accuracy.ts"
import * as Classes from "../../src/domain/evaluation/Classes.ts"

const set = (name: string, classes: ReadonlyArray<string>, labels: ReadonlyArray<number>): Classes.Labelled => ({
  name,
  classes,
  labels: Int32Array.from(labels)
})

const train = set("train", ["cat", "dog", "eel"], [0, 1, 2])

const refused = <A>(found: Result.Result<A, Classes.ClassesError>) => {
  const error = Result.getOrThrow(Result.flip(found))
  assert.strictEqual(error[Runtime.errorExitCode], 65)
  return error
}

describe("classes", () => {
  it("refuse a label that is none of them", () => {
    for (const label of [3, -1]) {
      const wrong = set("val", train.classes, [0, label])
      assert.match(
        refused(Classes.meet(train, wrong)).message,
        new RegExp(`val: image 1 has the label ${label}, but labels from 0 to 2 were expected`)
      )
      assert.strictEqual(refused(Classes.meet(train, wrong, "fewer")).reason._tag, "LabelOutside")
      assert.strictEqual(refused(Classes.check({ ...wrong, name: "train" })).reason._tag, "LabelOutside")
    }
  })

  it("refuse a split of one class, and say what was read as the label", () => {
    const lost = { ...set("train", ["."], [0, 0, 0]), labelSource: "nothing in a.parquet" }
    assert.match(
      refused(Classes.check(lost)).message,
      /3 images are all of one class, "\."\. The label was read from nothing/
    )
    assert.match(refused(Classes.check(set("train", ["dog"], [0]))).message, /its only image is of one class, "dog"\./)
    const zeros = set("val", train.classes, [0, 0])
    assert.match(refused(Classes.meet(train, zeros)).message, /all of one class, "cat"\./)
    assert.strictEqual(refused(Classes.meet(train, zeros, "subset")).reason._tag, "OneClass")
    assert.isTrue(Result.isSuccess(Classes.meet(train, zeros, "fewer")))
    assert.strictEqual(refused(Classes.meetAll(lost, [])).reason._tag, "OneClass")
  })

  it("differ where a test lacks some, unless that is allowed", () => {
    const val = set("val", ["eel", "cat"], [0, 1, 1])
    const { message } = refused(Classes.meet(train, val))
    assert.match(
      message,
      /^split val: its 2 classes \("eel", "cat"\) are not the 3 of train \("cat", "dog", "eel"\)\. /
    )
    assert.match(message, /\. Missing: 1 \("dog"\); .*--classes fewer, or --classes subset/)
    const fewer = Result.getOrThrow(Classes.meet(train, val, "fewer"))
    assert.deepStrictEqual([fewer.labels, fewer.among], [Int32Array.of(2, 0, 0), undefined])
    const subset = Result.getOrThrow(Classes.meet(train, val, "subset"))
    assert.deepStrictEqual([subset.labels, subset.among], [Int32Array.of(2, 0, 0), Int32Array.of(0, 2)])
    const dogs = Float32Array.of(0, 9, 8, 1, 9, 0, 0, 9, 1)
    assert.strictEqual(Accuracy.measure(fewer, dogs).top1, 0)
    assert.deepInclude(Accuracy.measure(subset, dogs), { top1: 2 / 3, classes: 2, largestClass: 2 / 3 })
  })

  it("differ where a test has others, whatever is allowed", () => {
    const val = set("val", ["cat", "dog", "eel", "fox"], [0, 3])
    for (const rule of ["same", "fewer", "subset"] as const) {
      assert.match(
        refused(Classes.meet(train, val, rule)).message,
        /\. Not in train: 1 \("fox"\); use the same class names/
      )
    }
    assert.isTrue(Result.isSuccess(Classes.meet(train, set("val", ["cat", "fox", "dog"], [0, 2]), "fewer")))
  })

  it("cannot be tested where none of their images was learned from", () => {
    const few = set("train", train.classes, [0, 1, 1])
    const { message } = refused(Classes.meet(few, set("val", train.classes, [0, 2])))
    assert.match(message, /images of classes without any image in train: 1 \("eel"\)/)
    const classifier = { name: "the classifier", classes: train.classes }
    assert.isTrue(Result.isSuccess(Classes.meet(classifier, set("val", train.classes, [0, 2]))))
  })

  it("may share a name only where the lists are the same", () => {
    const birds = ["crane", "heron", "crane"]
    const learned = set("train", birds, [0, 1, 2])
    const { labels } = Result.getOrThrow(Classes.meet(learned, set("val", birds, [2, 0])))
    assert.deepStrictEqual(labels, Int32Array.of(2, 0))
    const other = set("val", birds.toReversed().concat("stork"), [2, 0])
    assert.match(refused(Classes.meet(learned, other)).message, /"crane" occurs twice in the list of train/)
  })

  it("of a split's own subset are the only answers", () => {
    const val = { ...set("val", train.classes, [0, 2]), among: Int32Array.of(0, 2) }
    const met = Result.getOrThrow(Classes.meet(train, val))
    assert.deepStrictEqual(met.among, Int32Array.of(0, 2))
    assert.match(
      refused(Classes.meet(train, { ...val, labels: Int32Array.of(0, 1) })).message,
      /image 1 has the label 1, but labels from 0 to 1 were expected/
    )
    assert.strictEqual(Accuracy.measure(met, Float32Array.of(1, 9, 0, 0, 9, 1)).top1, 1)
  })
})
