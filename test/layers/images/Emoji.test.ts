import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Runtime } from "effect"
import * as Presets from "../../../src/domain/config/presets/Presets.ts"
import * as Images from "../../../src/layers/images/Images.ts"
import { Progress, silent } from "../../../src/layers/run/Progress.ts"
import * as Teacher from "../../../src/layers/teacher/Teacher.ts"
import { all, install } from "./emojiPackages.ts"
import { keepsRules } from "./ImagesContract.ts"

const load = (root: string, split: string, options?: Images.EmojiOptions) =>
  Images.Images.use((images) => images.load(split)).pipe(
    Effect.provide(Images.layerEmoji({ from: [root], ...options }), { local: true })
  )

const cacheOf = (root: string) => `${root}/node_modules/.cache/patchword`

const withEmoji = <A, E, R>(use: (root: string, fs: FileSystem.FileSystem) => Effect.Effect<A, E, R>, names = all) =>
  Effect.gen(function*() {
    return yield* use(yield* install(names), yield* FileSystem.FileSystem)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

keepsRules("the emoji", Effect.map(Effect.orDie(install(all)), (root) => Images.layerEmoji({ from: [root] })))

describe("Images.layerEmoji", () => {
  it.effect("finds emoji by code points, names and aliases, and a borrowed drawing once", () =>
    withEmoji((root) =>
      Effect.map(load(root, "train"), (set) => {
        assert.deepStrictEqual(Array.from({ length: set.length }, (_, i) => set.describe(i)), [
          "grinning-squinting-face (noto)",
          "person-in-tuxedo (noto)",
          "grinning-squinting-face (twemoji)",
          "grinning-squinting-face (emojione)",
          "person-in-tuxedo (noto-v1)"
        ])
        assert.strictEqual(set.classes.length, 8)
        assert.deepStrictEqual([...set.labels].map((label) => set.classes[label]), [
          "Smileys & Emotion",
          "People & Body",
          "Smileys & Emotion",
          "Smileys & Emotion",
          "People & Body"
        ])
      })
    ))

  it.effect("draws on mid-grey, centred, as means of equal parts", () =>
    withEmoji((root) =>
      Effect.gen(function*() {
        const train = yield* load(root, "train")
        const full = yield* train.image(0)
        assert.deepStrictEqual([full.width, full.height, ...full.data.subarray(0, 3)], [48, 48, 255, 0, 0])
        const narrow = yield* train.image(3)
        const row = Array.from({ length: 48 }, (_, x) => narrow.data[x * 3])
        assert.deepStrictEqual(row.slice(0, 12), Array(12).fill(128))
        assert.deepStrictEqual(row.slice(12, 36), Array(24).fill(0))
        const wide = yield* (yield* load(root, "3d-new")).image(0)
        const column = Array.from({ length: 48 }, (_, y) => wide.data[y * 48 * 3])
        assert.deepStrictEqual(column.slice(0, 12), Array(12).fill(128))
        assert.deepStrictEqual(column.slice(12, 36), Array(24).fill(255))
      })
    ))

  it.effect("keeps concepts apart by split and style", () =>
    withEmoji((root) =>
      Effect.gen(function*() {
        for (
          const [split, names] of [
            ["val", []],
            ["in-new", ["unamused-face (noto)"]],
            ["flat-new", ["unamused-face (flat)"]],
            ["3d-new", ["unamused-face (3d)"]],
            ["flat-seen", []]
          ] as const
        ) {
          const set = yield* load(root, split)
          assert.deepStrictEqual(Array.from({ length: set.length }, (_, i) => set.describe(i)), [...names])
        }
      })
    ))

  it.effect("draws the same bytes again, and reads them where they are cached", () =>
    withEmoji((root, fs) =>
      Effect.gen(function*() {
        const told: Array<string> = []
        const recording = { ...silent, message: (text: string) => Effect.sync(() => void told.push(text)) }
        const digest = (options?: Images.EmojiOptions) =>
          Effect.map(load(root, "train", options), (set) => set.digest).pipe(Effect.provideService(Progress, recording))
        const first = yield* digest()
        assert.strictEqual(told.length, 4)
        assert.strictEqual(yield* digest(), first)
        assert.strictEqual(told.length, 4)
        assert.strictEqual(yield* digest({ cache: `${root}/other` }), first)
        assert.strictEqual(told.length, 8)
        for (const file of yield* fs.readDirectory(cacheOf(root))) {
          assert.isTrue(
            Buffer.from(yield* fs.readFile(`${cacheOf(root)}/${file}`)).equals(
              yield* fs.readFile(`${root}/other/${file}`)
            )
          )
        }
      })
    ))

  it.effect("draws anew what was damaged in the cache", () =>
    withEmoji((root, fs) =>
      Effect.gen(function*() {
        const first = (yield* load(root, "train")).digest
        const names = yield* fs.readDirectory(cacheOf(root))
        assert.strictEqual(names.length, 4)
        for (const [i, name] of names.entries()) {
          const file = `${cacheOf(root)}/${name}`
          const bytes = yield* fs.readFile(file)
          bytes[bytes.length - 1]! ^= 1
          yield* fs.writeFile(file, i === 0 ? bytes.subarray(0, 20) : i === 1 ? new Uint8Array(0) : bytes)
        }
        assert.strictEqual((yield* load(root, "train")).digest, first)
      })
    ))

  it.effect("does without a cache that cannot be written", () =>
    withEmoji((root, fs) =>
      Effect.gen(function*() {
        yield* fs.writeFileString(`${root}/file`, "")
        assert.strictEqual((yield* load(root, "train", { cache: `${root}/file/cache` })).length, 5)
      })
    ))

  it.effect("says which packages to install", () =>
    withEmoji((root) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(load(root, "train"))
        assert.strictEqual(error[Runtime.errorExitCode], 66)
        assert.include(
          error.message,
          "; install them (npm install @iconify-json/twemoji@1.2.5 @iconify-json/noto-v1@1.2.5 " +
            "@iconify-json/fluent-emoji-flat@1.2.6 @lobehub/fluent-emoji-3d@1.1.0), or take your own images"
        )
      }), ["@iconify-json/noto", "@iconify-json/emojione"]))

  it.effect("is asked for by no teacher", () =>
    withEmoji((root) =>
      Effect.gen(function*() {
        const { augment } = Presets.tiny.tokenizer
        const hog = Teacher.layerHog({ patchSize: 8, imageSize: 48, seed: 0, augment })
        const error = yield* Effect.flip(
          Effect.provide(Teacher.Teacher, Layer.provide(hog, Images.layerEmoji({ from: [root] })))
        )
        assert.match(error.message, /^emoji: the pictures of the emoji are npm packages/)
      }), []))

  it.effect("says which package is damaged", () =>
    withEmoji((root, fs) =>
      Effect.gen(function*() {
        yield* fs.writeFileString(`${root}/node_modules/@iconify-json/twemoji/icons.json`, "{")
        const error = yield* Effect.flip(load(root, "train"))
        assert.strictEqual(error[Runtime.errorExitCode], 65)
        assert.include(error.message, "the package @iconify-json/twemoji cannot be used (icons.json: ")
      })
    ))

  it.effect("refuses unknown splits", () =>
    withEmoji((root) =>
      Effect.map(Effect.flip(load(root, "test")), (error) => {
        assert.include(error.message, "choose one of train, val, in-new, flat-new, 3d-new, flat-seen, 3d-seen")
      })
    ))

  it.effect("has the demo's numbers of images from the real packages", () =>
    Effect.gen(function*() {
      const images = yield* Images.Images
      const train = yield* images.load("train")
      assert.strictEqual(train.length, 3958)
      assert.deepStrictEqual(train.classes.map((_, label) => train.labels.filter((own) => own === label).length), [
        424,
        802,
        374,
        310,
        522,
        206,
        657,
        663
      ])
      assert.strictEqual((yield* images.load("val")).length, 602)
      assert.strictEqual((yield* images.load("in-new")).length, 839)
    }).pipe(Effect.provide(Images.layerEmoji())))

  it.effect("knows the subgroups of at least eight concepts", () =>
    withEmoji((root) =>
      Effect.map(load(root, "train", { labels: "subgroups" }), ({ classes, labels }) => {
        assert.strictEqual(classes.length, 57)
        assert.deepStrictEqual([...labels].map((label) => classes[label]), [
          "face-smiling",
          "person-role",
          "face-smiling",
          "face-smiling",
          "person-role"
        ])
      })
    ))
})
