import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as ImageSet from "../../../src/layers/images/reading/ImageSet.ts"

const grey = (value: number) => ({ width: 2, height: 2, data: new Uint8Array(12).fill(value) })
const set = ImageSet.memory("greys", ["dark", "light"], [grey(10), grey(20), grey(240)], [0, 0, 1], (i) => `grey ${i}`)

describe("ImageSet", () => {
  it.effect("holds pictures, labels and names", () =>
    Effect.gen(function*() {
      assert.strictEqual(set.length, 3)
      assert.deepStrictEqual([...set.labels], [0, 0, 1])
      assert.deepStrictEqual(yield* set.image(2), grey(240))
      assert.strictEqual(set.describe(2), "grey 2")
    }))

  it.effect("chooses and repeats by index", () =>
    Effect.gen(function*() {
      const some = ImageSet.subset(set, [2, 0, 2])
      assert.strictEqual(some.length, 3)
      assert.deepStrictEqual([...some.labels], [1, 0, 1])
      assert.deepStrictEqual(yield* some.image(0), grey(240))
      assert.strictEqual(some.describe(1), "grey 0")
      assert.notStrictEqual(some.digest, set.digest)
      assert.strictEqual(some.digest, ImageSet.subset(set, Int32Array.of(2, 0, 2)).digest)
    }))

  it("has a digest of pictures, order, classes and labels", () => {
    const digest = (classes: ReadonlyArray<string>, values: ReadonlyArray<number>, labels: ReadonlyArray<number>) =>
      ImageSet.memory("any", classes, values.map(grey), labels).digest
    assert.strictEqual(digest(["dark", "light"], [10, 20, 240], [0, 0, 1]), set.digest)
    const others = [
      digest(["light", "dark"], [10, 20, 240], [0, 0, 1]),
      digest(["dark", "light"], [20, 10, 240], [0, 0, 1]),
      digest(["dark", "light"], [10, 20, 241], [0, 0, 1]),
      digest(["dark", "light"], [10, 20, 240], [0, 1, 1])
    ]
    assert.strictEqual(new Set([set.digest, ...others]).size, 5)
  })

  it.effect("dies on an index that it does not have", () =>
    Effect.gen(function*() {
      assert.isTrue(Exit.hasDies(yield* Effect.exit(set.image(3))))
      assert.isTrue(Exit.hasDies(yield* Effect.exit(ImageSet.subset(set, [0]).image(1))))
    }))

  it("refuses labels that do not match the pictures", () => {
    assert.throws(
      () => ImageSet.memory("odd", ["a"], [grey(1)], [0, 0]),
      "expected as many labels as pictures, got 2 and 1"
    )
  })
})
