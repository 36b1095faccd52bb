import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Path } from "effect"
import { createHash } from "node:crypto"
import sharp from "sharp"
import * as CodePairs from "../../src/domain/method/CodePairs.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import * as Augment from "../../src/layers/images/views/Augment.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Atlas from "../../src/pipelines/atlas/Atlas.ts"
import { atlas } from "../../src/pipelines/atlas/BuildAtlas.ts"
import type * as CodeScan from "../../src/pipelines/atlas/CodeScan.ts"
import { encode } from "../../src/pipelines/evaluate/Encode.ts"
import type { Tokenizer } from "../../src/pipelines/trained/Tokenizer.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { engine, images, micro, recording, set, teacher } from "./kit.ts"

const LENGTH = 200
const held = set("held", LENGTH)
const lists: CodeScan.Lists = { nearest: 3, farthest: 2, misses: 3, sample: 4 }

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

let learned: Tokenizer | undefined
const tokenizer = Effect.gen(function*() {
  learned ??= yield* trainTokenizer(micro({ duration: 6, warmup: 1 }).tokenizer).pipe(
    Effect.provide(Layer.mergeAll(Runs.layerMemory(), Layer.provide(teacher, images)), { local: true })
  )
  return learned
})

const filesOf = Effect.fnUntraced(function*(directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = (yield* fs.readDirectory(directory, { recursive: true })).toSorted()
  const found = yield* Effect.forEach(names, (name) =>
    Effect.gen(function*() {
      const place = path.join(directory, name)
      if ((yield* fs.stat(place)).type !== "File") return []
      return [[name, createHash("sha256").update(yield* fs.readFile(place)).digest("hex")] as const]
    }))
  return Object.fromEntries(found.flat())
})

const stoppingAt = (step: number) =>
  recording([], (report) => report.stage === "atlas" && report.step === step ? Effect.interrupt : Effect.void)

describe("atlas", () => {
  layer(Layer.mergeAll(engine, images, NodeServices.layer))((it) => {
    it.effect("tells of every code what the tokenizer gave", () =>
      Effect.gen(function*() {
        const trained = yield* tokenizer
        const directory = yield* folder
        const { figures } = yield* atlas(trained, held, directory, { lists })
        const found = yield* Atlas.open(directory)
        const codes: Array<ReadonlyArray<number>> = []
        yield* encode(trained, held, (some) =>
          Effect.sync(() =>
            some.forEach((one) => (codes[one.index] = Array.from(one.codes)))
          ))
        const all = codes.flat()
        assert.strictEqual(figures.patches, all.length)
        assert.strictEqual(figures.used, new Set(all).size)
        assert.isNotNull(figures.mutualInformation)
        for (let code = 0; code < figures.codes; code++) {
          const { classes, count, lists: shown, neighbours, positions, rank } = Atlas.code(found, code)!
          assert.strictEqual(count, all.filter((one) => one === code).length)
          assert.strictEqual(positions.reduce((sum, one) => sum + one, 0), count)
          for (const list of ["nearest", "farthest", "sample"] as const) {
            const places = shown[list]
            assert.isTrue(places.every(({ image, patch }) => codes[image]![patch] === code))
            assert.strictEqual(new Set(places.map(({ image }) => image)).size, places.length)
          }
          assert.isTrue(
            shown.misses.every(({ image, patch, value }) => codes[image]![patch] !== code && value >= -1e-5)
          )
          const distances = shown.nearest.map(({ value }) => value)
          assert.deepStrictEqual(distances, distances.toSorted((a, b) => a - b))
          assert.strictEqual(neighbours.length, 12)
          assert.isFalse(neighbours.some((one) => one.code === code))
          if (count > 0) assert.strictEqual(Atlas.used(found)[rank - 1], code)
          assert.isTrue(classes.every(({ name, overall, share }) => held.classes.includes(name) && share > overall))
        }
        assert.isUndefined(Atlas.code(found, figures.codes))
        const one = yield* Atlas.image(found, 7)
        assert.deepStrictEqual(one, {
          image: 7,
          name: held.describe(7),
          label: held.classes[held.labels[7]!]!,
          grid: { height: 4, width: 4 },
          codes: codes[7]!
        })
        assert.isUndefined(yield* Atlas.image(found, LENGTH))
        const counts = CodePairs.make({
          codes: figures.codes,
          from: 0,
          to: figures.codes,
          grid: { height: 4, width: 4 }
        })
        codes.forEach((image) => CodePairs.add(counts, image))
        const rounded = (pairs: ReadonlyArray<CodePairs.Pair>) =>
          pairs.map((pair) => ({ ...pair, expected: Math.fround(pair.expected), measure: Math.fround(pair.measure) }))
        for (let code = 0; code < figures.codes; code++) {
          for (const kind of CodePairs.KINDS) {
            assert.deepStrictEqual(
              Atlas.code(found, code)!.together[kind],
              rounded(CodePairs.best(counts, kind, code, 12))
            )
          }
          const having = codes.flatMap((image, index) =>
            image.includes(code)
              ? [{ image: index, patches: Array.from(image.keys()).filter((at) => image[at] === code) }]
              : []
          )
          const some = yield* Atlas.withCode(found, code, 0, 3)
          assert.deepStrictEqual(some, { images: having.slice(0, 3), next: having[3]?.image })
          const rest = yield* Atlas.withCode(found, code, some.next ?? LENGTH, LENGTH)
          assert.deepStrictEqual(rest, { images: having.slice(3), next: undefined })
        }
        for (const index of [0, 7, LENGTH - 1]) {
          const { data, info } = yield* Effect.flatMap(
            Atlas.thumbnail(found, index),
            (bytes) => Effect.promise(() => sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true }))
          )
          assert.deepStrictEqual([info.width, info.height], [32, 32])
          const view = yield* ImageSet.lend(held, index, (picture) =>
            Effect.sync(() =>
              Augment.evaluationView(picture, 32, trained.config.augment)
            ))
          const far = data.reduce((sum, value, at) =>
            sum + Math.abs(value - view.data[at]!), 0) / data.length
          assert.isBelow(far, 30)
        }
        assert.isUndefined(yield* Atlas.thumbnail(found, LENGTH))
      }).pipe(Effect.scoped))

    it.effect("ends with the same bytes if it is interrupted, killed, and resumed", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const trained = yield* tokenizer
        const [whole, cut, killed] = [yield* folder, yield* folder, yield* folder]
        const options = { lists, every: 64 }
        yield* atlas(trained, held, whole, options)
        const expected = yield* filesOf(whole)
        assert.isAbove(Object.keys(expected).length, 20)

        const stopped = yield* Effect.exit(
          Effect.provideService(atlas(trained, held, cut, { ...options, every: 1000 }), Progress, stoppingAt(128))
        )
        assert.isTrue(Exit.isFailure(stopped) && Exit.hasInterrupts(stopped))
        assert.match((yield* Effect.flip(Atlas.open(cut))).message, /not finished \(128 images are scanned\)/)
        const seen: Array<string> = []
        yield* Effect.provideService(atlas(trained, held, cut, options), Progress, recording(seen))
        assert.deepStrictEqual(seen.slice(0, 2), ["atlas 192", "atlas 200"])
        assert.deepStrictEqual(yield* filesOf(cut), expected)

        // A killed process leaves what it had saved, and the beginning of what it was writing.
        const again = yield* folder
        yield* Effect.provideService(
          atlas(trained, held, again, options),
          Progress,
          recording([], (report) =>
            report.stage === "atlas" && report.step === 192
              ? Effect.ignore(fs.copy(`${again}/atlas`, `${killed}/atlas`))
              : Effect.void)
        )
        yield* fs.remove(`${killed}/atlas/lock`, { force: true })
        const file = yield* fs.open(`${killed}/atlas/images.bin`, { flag: "a" })
        yield* file.writeAll(Uint8Array.of(1, 2, 3))
        const pictures = yield* fs.open(`${killed}/atlas/thumbnails.bin`, { flag: "a" })
        yield* pictures.writeAll(Uint8Array.of(1, 2, 3))
        yield* atlas(trained, held, killed, options)
        assert.deepStrictEqual(yield* filesOf(killed), expected)
      }).pipe(Effect.scoped))

    it.effect("refuses another tokenizer and other images, unless it may replace them", () =>
      Effect.gen(function*() {
        const trained = yield* tokenizer
        const directory = yield* folder
        const few = ImageSet.subset(held, [0, 1, 2, 3])
        yield* atlas(trained, few, directory, { lists })
        const before = yield* filesOf(directory)
        const other = yield* Effect.flip(atlas(trained, ImageSet.subset(held, [0, 1, 2]), directory, { lists }))
        assert.strictEqual(other._tag === "AtlasError" ? other.reason._tag : other._tag, "OtherAtlas")
        assert.match(other.message, /holds another atlas \(SHA-256 of the images: .*\); replace it by --replace/)
        const weight = trained.tensors["encoder.fc_norm.weight"]!
        const changed: Tokenizer = {
          ...trained,
          tensors: {
            ...trained.tensors,
            "encoder.fc_norm.weight": { ...weight, data: weight.data.map((one) => 2 * one) } as typeof weight
          }
        }
        assert.match(
          (yield* Effect.flip(atlas(changed, few, directory, { lists }))).message,
          /SHA-256 of the tokenizer's weights: the atlas has/
        )
        assert.deepStrictEqual(yield* filesOf(directory), before)
        yield* atlas(trained, few, directory, { lists })
        assert.deepStrictEqual(yield* filesOf(directory), before)
        const { figures } = yield* atlas(trained, ImageSet.subset(held, [0, 1, 2]), directory, { lists, replace: true })
        assert.strictEqual(figures.images, 3)
      }).pipe(Effect.scoped))

    it.effect("takes damaged files for damaged, and keeps no codes of images if it is told so", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const trained = yield* tokenizer
        const directory = yield* folder
        const few = ImageSet.subset(held, [0, 1, 2, 3])
        const { imageBytes, thumbnailBytes } = yield* atlas(trained, few, directory, {
          lists,
          keepImages: false,
          thumbnails: 0
        })
        assert.deepStrictEqual([imageBytes, thumbnailBytes], [0, 0])
        assert.isFalse(yield* fs.exists(`${directory}/atlas/thumbnails.bin`))
        assert.isUndefined(yield* Atlas.thumbnail(yield* Atlas.open(directory), 0))
        assert.isUndefined(yield* Atlas.image(yield* Atlas.open(directory), 0))
        assert.isFalse(yield* fs.exists(`${directory}/atlas/images.bin`))
        yield* atlas(trained, few, directory, { lists, replace: true })
        const found = yield* Atlas.open(directory)
        const again = (name: string, change: (place: string) => Effect.Effect<void, unknown>) =>
          Effect.gen(function*() {
            const place = `${directory}/atlas/${name}`
            yield* fs.copy(place, `${directory}/kept`)
            yield* Effect.orDie(change(place))
            const error = yield* Effect.flip(atlas(trained, few, directory, { lists }))
            yield* fs.remove(place, { recursive: true, force: true })
            yield* fs.rename(`${directory}/kept`, place)
            return error.message
          })
        const flip = Effect.fnUntraced(function*(place: string) {
          const bytes = yield* fs.readFile(place)
          bytes[bytes.length - 1]! ^= 1
          yield* fs.writeFile(place, bytes)
        })
        for (const name of ["codes.safetensors", "images.bin", "names.bin", "thumbnails.bin"]) {
          assert.include(yield* again(name, flip), `${name} is damaged (it does not have the SHA-256`)
        }
        assert.match(yield* again("images.bin", (place) => fs.truncate(place, 40)), /images.bin is damaged.*--replace/)
        const gone = yield* again("nearest", (place) => fs.remove(place, { recursive: true }))
        assert.match(
          gone,
          /nearest\/\d+\.webp is damaged \(it is missing; it is the first of \d+ such files\); .*--replace/
        )
        assert.match(
          yield* again("codes.safetensors", (place) => fs.truncate(place, 100)),
          /codes.safetensors is damaged \(.*cut off: it has 100 bytes, and needs \d+ or more\)/
        )
        assert.match(
          yield* again("codes.safetensors", (place) => fs.remove(place)),
          /codes.safetensors is damaged \(it is missing\)/
        )
        yield* atlas(trained, few, directory, { lists })
        const codes = `${directory}/atlas/images.bin`
        const whole = yield* fs.readFile(codes)
        yield* Atlas.image(found, 1)
        yield* fs.writeFile(codes, whole.map((one, i) => i === 0 ? one ^ 1 : one))
        assert.match((yield* Effect.flip(Atlas.image(found, 1))).message, /images.bin is damaged \(it does not have/)
        yield* fs.truncate(`${directory}/atlas/images.bin`, 40)
        assert.match((yield* Effect.flip(Atlas.image(found, 3))).message, /images.bin is damaged \(it ends too early\)/)
        const arrays = `${directory}/atlas/codes.safetensors`
        const bytes = yield* fs.readFile(arrays)
        bytes[bytes.length - 1]! ^= 1
        yield* fs.writeFile(arrays, bytes)
        assert.match((yield* Effect.flip(Atlas.open(directory))).message, /codes.safetensors is damaged/)
        yield* fs.writeFileString(`${directory}/atlas/index.json`, "{}")
        assert.match(
          (yield* Effect.flip(Atlas.open(directory))).message,
          /index.json is damaged \(it is not the description of an atlas/
        )
      }).pipe(Effect.scoped))
  })
})
