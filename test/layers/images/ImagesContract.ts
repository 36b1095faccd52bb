import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Runtime, type Scope } from "effect"
import sharp from "sharp"
import type { Picture } from "../../../src/domain/pixels/Picture.ts"
import * as Laws from "../../../src/laws/index.ts"
import { Images } from "../../../src/layers/images/Images.ts"
import { ImagesError } from "../../../src/layers/images/reading/ImagesError.ts"
import { holds } from "../../laws/kit.ts"

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

/** Tries what every source of images does alike on one that is made in a scope. */
export const keepsRules = (
  name: string,
  source: Effect.Effect<Layer.Layer<Images, ImagesError>, never, FileSystem.FileSystem | Scope.Scope>
): void =>
  holds(`${name} as a source of images`, Laws.images(Layer.unwrap(source).pipe(Layer.provide(NodeServices.layer))))

/** A source that keeps the six samples in files. */
export interface Source {
  readonly side: number
  readonly classes?: ReadonlyArray<string>
  readonly files: (all: ReadonlyArray<Sample>, changed: boolean) => Promise<Readonly<Record<string, Content>>>
  readonly layer: (folder: string) => Layer.Layer<Images, ImagesError>
}

/** {@link keepsRules}, and gives the samples as they are. */
export const behaves = (name: string, { classes = CLASSES, files, layer, side }: Source): void => {
  const content = (changed: boolean) => Effect.promise(() => files(samples(side, changed), changed))
  const filled = Effect.gen(function*() {
    const folder = yield* Effect.orDie((yield* FileSystem.FileSystem).makeTempDirectoryScoped())
    yield* Effect.orDie(write(folder, yield* content(false)))
    return folder
  })

  keepsRules(name, Effect.map(filled, layer))

  describe(`${name} as a source of the samples`, () => {
    it.effect("gives their pictures and labels, and a digest that changes with a picture", () =>
      Effect.gen(function*() {
        const folder = yield* filled
        const set = yield* load(layer(folder))
        const expected = samples(side)
        assert.deepStrictEqual(set.classes, classes)
        assert.deepStrictEqual([...set.labels], expected.map(({ label }) => label))
        assert.deepStrictEqual(set.skipped, [])
        assert.deepStrictEqual(
          yield* Effect.forEach(set.labels.keys(), set.image),
          expected.map(({ picture }) => picture)
        )
        yield* write(folder, yield* content(true))
        const changed = yield* load(layer(folder))
        assert.deepStrictEqual(yield* changed.image(5), samples(side, true)[5]?.picture)
        assert.notStrictEqual(changed.digest, set.digest)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
  })
}
