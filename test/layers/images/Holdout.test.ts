import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Result, Runtime } from "effect"
import fc from "fast-check"
import * as Holdout from "../../../src/domain/evaluation/Holdout.ts"
import * as Images from "../../../src/layers/images/Images.ts"
import * as ImageSet from "../../../src/layers/images/reading/ImageSet.ts"
import { keepsRules } from "./ImagesContract.ts"

const classes = ["ape", "bee", "cat"]

const grey = (value: number) => ({ width: 2, height: 2, data: new Uint8Array(12).fill(value) })

/** Pictures of each class, some of each, in an order. */
const setOf = (counts: ReadonlyArray<number>, order?: ReadonlyArray<number>, name = "train") => {
  const all = counts.flatMap((count, label) => Array.from({ length: count }, (_, i) => ({ label, i })))
  const shown = order === undefined ? all : order.map((at) => all[at]!)
  return ImageSet.memory(
    name,
    classes,
    shown.map(({ i, label }) => grey(50 * label + i)),
    shown.map(({ label }) => label),
    (at) => `${classes[shown[at]!.label]}/${shown[at]!.i}.png`
  )
}

const namesAt = (set: ImageSet.ImageSet, places: Int32Array) => Array.from(places, set.describe).toSorted()

const heldOf = (set: ImageSet.ImageSet, share: number, seed = 0) =>
  namesAt(set, Result.getOrThrow(Holdout.split(set, { share, seed })).held)

const held = (options: Images.HoldoutOptions, ...sets: ReadonlyArray<ImageSet.ImageSet>) =>
  Images.layerMemory(sets).pipe(Images.holdout(options))

const failing = (layer: Layer.Layer<Images.Images, Images.ImagesError>, split = "train") =>
  Images.Images.use(({ load }) => load(split)).pipe(Effect.provide(layer, { local: true }), Effect.flip)

keepsRules("a part that is held out", Effect.succeed(held({ share: 0.3 }, setOf([5, 4, 3]))))

describe("a part that is held out", () => {
  it("does not depend on the order of the images, and takes its share of each class", () => {
    const counts = fc.tuple(
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 2, max: 9 })
    )
    const cases = counts.chain((counts) => {
      const places = Array.from({ length: counts.reduce((a, b) => a + b, 0) }, (_, i) => i)
      const order = fc.shuffledSubarray(places, { minLength: places.length })
      return fc.record({ counts: fc.constant(counts), order, share: fc.double({ min: 0.1, max: 0.8, noNaN: true }) })
    })
    fc.assert(fc.property(cases, ({ counts, order, share }) => {
      const set = setOf(counts, order)
      const { held, rest } = Result.getOrThrow(Holdout.split(set, { share, seed: 0 }))
      assert.deepStrictEqual([...held, ...rest].toSorted((a, b) => a - b), order.map((_, i) => i))
      assert.deepStrictEqual(namesAt(set, held), heldOf(setOf(counts), share))
      for (const [label, count] of counts.entries()) {
        const many = held.filter((place) => set.labels[place] === label).length
        assert.strictEqual(many, Math.min(count - 1, Math.max(1, Math.round(share * count))))
      }
    }))
  })

  it("grows with its share, stays where other classes change, and is another one by another seed", () => {
    const set = setOf([9, 9, 9])
    assert.includeMembers(heldOf(set, 0.4), heldOf(set, 0.2))
    const apes = (names: ReadonlyArray<string>) => names.filter((name) => name.startsWith("ape"))
    assert.deepStrictEqual(apes(heldOf(setOf([9, 2, 5]), 0.4)), apes(heldOf(set, 0.4)))
    assert.notDeepEqual(heldOf(set, 0.4, 1), heldOf(set, 0.4))
  })

  it.effect("is a split beside the others, with pictures of its own", () =>
    Effect.gen(function*() {
      const { load, splits } = yield* Images.Images
      assert.deepStrictEqual(splits, ["train", "val", "test"])
      const [train, val, test] = yield* Effect.forEach(splits, load)
      assert.deepStrictEqual([train!, val!, test!].map(({ length, name }) => [name, length]), [
        ["train", 9],
        ["val", 3],
        ["test", 6]
      ])
      assert.notStrictEqual(train!.digest, val!.digest)
      assert.deepStrictEqual(val!.labels, Int32Array.of(0, 1, 2))
      const name = val!.describe(2)
      assert.deepStrictEqual(yield* val!.image(2), grey(100 + Number(/\d/.exec(name)![0])))
    }).pipe(Effect.provide(held({ share: 0.25 }, setOf([4, 4, 4]), setOf([2, 2, 2], undefined, "test")))))

  it.effect("is refused where a part or a class would be empty", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [ReturnType<typeof held>, string, number, RegExp]> = [
        [
          held({ share: 0.2 }, setOf([1, 4, 1])),
          "ClassesOfOne",
          65,
          /train: .*2 classes have one image \("ape", "cat"\)/
        ],
        [held({ share: 0.01 }, setOf([4, 4, 4])), "PartEmpty", 64, /0\.01 of 12 images leaves no image for testing/],
        [held({ share: 0.99 }, setOf([4, 4, 4])), "PartEmpty", 64, /leaves no image for training/],
        [held({ share: 1 }, setOf([4, 4, 4])), "ConfigError", 64, /share: expected a number above 0 and below 1/],
        [held({ share: 0.2, into: "train" }, setOf([4])), "SplitExists", 64, /the split "train" already exists/],
        [held({ share: 0.2, from: "all" }, setOf([4])), "UnknownSplit", 66, /there is no split "all"/]
      ]
      for (const [layer, tag, code, said] of cases) {
        const error = yield* failing(layer)
        assert.deepStrictEqual([error.reason._tag, error[Runtime.errorExitCode]], [tag, code])
        assert.match(error.message, said)
      }
    }))
})
