import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Images from "../../../src/layers/images/Images.ts"
import { subset } from "../../../src/layers/images/reading/ImageSet.ts"
import * as SceneClasses from "../../../src/layers/images/sources/SceneClasses.ts"
import { all, install } from "./emojiPackages.ts"
import { keepsRules, load, refused } from "./ImagesContract.ts"

const few = { train: 3, val: 2, "in-new": 2, "flat-new": 2, "3d-new": 2 }

const layerOf = (root: string, options?: Images.ScenesOptions) =>
  Images.layerScenes({ from: [root], scenes: few, ...options })

keepsRules("scenes", Effect.map(Effect.orDie(install(all)), (root) => layerOf(root)))

const withScenes = <A, E, R>(use: (root: string) => Effect.Effect<A, E, R>, names = all) =>
  Effect.flatMap(install(names), use).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

describe("Images.layerScenes", () => {
  it.effect("labels the pixels of its objects, and only those", () =>
    withScenes((root) =>
      Effect.gen(function*() {
        const set = yield* load(layerOf(root))
        assert.deepStrictEqual(set.pixelClasses, SceneClasses.names)
        const found = new Set<number>()
        for (let index = 0; index < set.length; index++) {
          const { data, height, width } = yield* set.image(index)
          const { data: labels, ...size } = yield* set.annotation!(index)
          assert.deepStrictEqual(size, { width, height })
          for (const [at, label] of labels.entries()) {
            found.add(label)
            // Faces and persons of these packages are of one colour each, and grounds are not so dark or so bright.
            const [red, green, blue] = data.subarray(3 * at, 3 * at + 3)
            if (label === SceneClasses.names.indexOf("person")) assert.isTrue(red === 0 && green === 0 && blue! >= 120)
          }
        }
        assert.deepStrictEqual(
          [...found].toSorted((a, b) => a - b).map((label) => SceneClasses.names[label]),
          ["ground", "face", "person"]
        )
      })
    ))

  it.effect("depend on the seed, the split and the index alone", () =>
    withScenes((root) =>
      Effect.gen(function*() {
        const once = yield* load(layerOf(root))
        const again = yield* load(layerOf(root))
        const last = yield* once.image(2)
        assert.deepStrictEqual(yield* again.image(2), last)
        assert.deepStrictEqual(yield* subset(again, [2]).annotation!(0), yield* once.annotation!(2))
        assert.strictEqual(again.digest, once.digest)
        assert.notDeepEqual(yield* once.image(1), last)
        const other = yield* load(layerOf(root, { seed: 1 }))
        assert.notDeepEqual(yield* other.image(2), last)
        assert.notStrictEqual(other.digest, once.digest)
      })
    ))

  it.effect("refuse an unknown split, and missing packages", () =>
    withScenes((root) =>
      Effect.gen(function*() {
        assert.include(yield* refused(load(layerOf(root), "flat-seen"), "UnknownSplit", 66), "train, val, in-new")
        yield* refused(load(layerOf(root)), "PackageMissing", 66)
      }), all.slice(1)))
})

describe("classes of scenes", () => {
  it.each([
    ["Smileys & Emotion", "face-smiling", "face"],
    ["Smileys & Emotion", "cat-face", "animal"],
    ["Smileys & Emotion", "heart", undefined],
    ["People & Body", "hand-prop", "hand"],
    ["People & Body", "person-role", "person"],
    ["Food & Drink", "drink", "plant or food"],
    ["Travel & Places", "transport-air", "vehicle"],
    ["Symbols", "transport-sign", "sign"],
    ["Travel & Places", "sky & weather", undefined],
    ["Travel & Places", "hotel", "place"],
    ["Objects", "clothing", "thing"]
  ])("%s, %s: %s", (group, subgroup, expected) => assert.strictEqual(SceneClasses.of(group, subgroup), expected))
})
