import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, type Layer, Runtime } from "effect"
import sharp from "sharp"
import type { Picture } from "../../src/domain/Picture.ts"
import { Images } from "../../src/layers/Images.ts"
import { ImagesError } from "../../src/layers/ImageSet.ts"

export const CLASSES: ReadonlyArray<string> = ["ape", "bee", "cat"]

export interface Sample {
  readonly label: number
  readonly picture: Picture
}

/** Six pictures of three classes, sorted by class; the last one differs when `changed`. */
export const samples = (side: number, changed = false): ReadonlyArray<Sample> =>
  Array.from({ length: 6 }, (_, i) => ({
    label: Math.floor(i / 2),
    picture: {
      width: side,
      height: side,
      data: Uint8Array.from({ length: side * side * 3 }, (_, j) =>
        (j * (i + 3) + (changed && i === 5 ? 99 : 11) * i) % 251)
    }
  }))

export const encoded = ({ data, height, width }: Picture): Promise<Buffer> =>
  sharp(data, { raw: { width, height, channels: 3 } }).png().toBuffer()

export type Content = string | Uint8Array

export const write = Effect.fnUntraced(function*(folder: string, files: Readonly<Record<string, Content>>) {
  const fs = yield* FileSystem.FileSystem
  for (const [name, content] of Object.entries(files)) {
    const file = `${folder}/${name}`
    yield* fs.makeDirectory(file.slice(0, file.lastIndexOf("/")), { recursive: true })
    yield* fs.writeFile(file, typeof content === "string" ? Buffer.from(content) : content)
  }
})

export const withFolder = <A, E, R>(
  files: Readonly<Record<string, Content>>,
  use: (folder: string) => Effect.Effect<A, E, R | FileSystem.FileSystem>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    yield* write(folder, files)
    return yield* use(folder)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

export const load = (layer: Layer.Layer<Images, ImagesError>, split = "train") =>
  Images.use((images) => images.load(split)).pipe(Effect.provide(layer, { local: true }))

export const refused = <A, R>(
  effect: Effect.Effect<A, ImagesError, R>,
  tag: ImagesError["reason"]["_tag"],
  code: number
) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, ImagesError)
    assert.strictEqual(error.reason._tag, tag)
    assert.strictEqual(error[Runtime.errorExitCode], code)
    return error.message
  })

/** One source of the six samples as its split `train`. */
export interface Source {
  readonly side: number
  readonly classes?: ReadonlyArray<string>
  readonly files: (all: ReadonlyArray<Sample>, changed: boolean) => Promise<Readonly<Record<string, Content>>>
  readonly layer: (folder: string) => Layer.Layer<Images, ImagesError>
}

/** What every source of images does alike. */
export const behaves = (name: string, { classes = CLASSES, files, layer, side }: Source): void => {
  const filled = Effect.promise(() => files(samples(side), false))
  const withSource = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R | FileSystem.FileSystem>) =>
    Effect.flatMap(filled, (content) => withFolder(content, use))

  describe(`${name} as a source of images`, () => {
    it.effect("gives the same pictures and labels, in any order and again", () =>
      withSource((folder) =>
        Effect.gen(function*() {
          const set = yield* load(layer(folder))
          const expected = samples(side)
          assert.strictEqual(set.name, "train")
          assert.strictEqual(set.length, 6)
          assert.deepStrictEqual(set.classes, classes)
          assert.deepStrictEqual([...set.labels], expected.map(({ label }) => label))
          assert.deepStrictEqual(set.skipped, [])
          for (const index of [5, 0, 3, 0]) assert.deepStrictEqual(yield* set.image(index), expected[index]?.picture)
          const together = yield* Effect.forEach([1, 2, 4, 2], set.image, { concurrency: "unbounded" })
          assert.deepStrictEqual(together, [1, 2, 4, 2].map((index) => expected[index]!.picture))
        })
      ))

    it.effect("names each picture differently", () =>
      withSource((folder) =>
        Effect.map(load(layer(folder)), (set) => {
          const names = Array.from({ length: 6 }, (_, i) => set.describe(i))
          assert.strictEqual(new Set(names).size, 6)
          assert.notInclude(names, "")
        })
      ))

    it.effect("has a digest that two loads agree on and that changes with a picture", () =>
      withSource((folder) =>
        Effect.gen(function*() {
          const { digest } = yield* load(layer(folder))
          assert.match(digest, /^[0-9a-f]{64}$/)
          assert.strictEqual((yield* load(layer(folder))).digest, digest)
          yield* write(folder, yield* Effect.promise(() => files(samples(side, true), true)))
          assert.notStrictEqual((yield* load(layer(folder))).digest, digest)
        })
      ))

    it.effect("loads a split once and knows its splits", () =>
      withSource((folder) =>
        Effect.gen(function*() {
          const images = yield* Images
          assert.include(images.splits, "train")
          assert.strictEqual(yield* images.load("train"), yield* images.load("train"))
          const message = yield* refused(images.load("none"), "UnknownSplit", 66)
          assert.include(message, "there is no split \"none\"; choose one of ")
        }).pipe(Effect.provide(layer(folder)))
      ))

    it.effect("dies on a picture that it does not have", () =>
      withSource((folder) =>
        Effect.gen(function*() {
          const set = yield* load(layer(folder))
          for (const index of [-1, 6, 0.5]) assert.isTrue(Exit.hasDies(yield* Effect.exit(set.image(index))))
        })
      ))
  })
}
