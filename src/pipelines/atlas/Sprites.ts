/** Pictures of many codes in one: the strips of some codes one below another, and an image drawn by patches of its codes. */
import { Effect, type FileSystem, type Path } from "effect"
import * as Canvas from "../../domain/pixels/Canvas.ts"
import * as Files from "../../layers/files/Files.ts"
import type * as Atlas from "./Atlas.ts"
import * as AtlasIndex from "./AtlasIndex.ts"

type Made = Effect.Effect<Uint8Array, Files.FileError, FileSystem.FileSystem | Path.Path>

/** The most codes of a picture of strips. */
export const MOST = 64

const READERS = 8

const LINE = [224, 32, 32] as const

/** Draws a cross in the place of a picture that is missing or damaged. */
const cross = (on: Canvas.Canvas, left: number, top: number, side: number): void => {
  for (let i = 0; i < side; i++) {
    Canvas.fill(on, LINE, left + i, top + i, 1, 1)
    Canvas.fill(on, LINE, left + i, top + side - 1 - i, 1, 1)
  }
}

/** Copies the part of a drawing that fits, from its left edge. */
const copy = (
  on: Canvas.Canvas,
  from: Canvas.Canvas,
  left: number,
  top: number,
  width: number,
  height: number
): void => {
  const wide = 4 * Math.min(width, from.width)
  for (let y = 0; y < Math.min(height, from.height); y++) {
    const row = 4 * y * from.width
    on.data.set(from.data.subarray(row, row + wide), 4 * ((top + y) * on.width + left))
  }
}

/** Reads the strip of a code. `undefined` if it is missing or no picture. */
const strip = Effect.fnUntraced(function*({ folder, lost }: Atlas.Atlas, code: number) {
  const name = AtlasIndex.picture("patches", code)
  if (lost.has(name)) return undefined
  const { fs, path } = yield* Files.make
  const { default: sharp } = yield* Effect.promise(() => import("sharp"))
  const place = path.join(folder, name)
  const bytes = yield* Files.ifThere(Files.onFailure(place)(fs.readFile(place)))
  if (bytes._tag === "None") return undefined
  const decoded = Effect.tryPromise(() => sharp(bytes.value).ensureAlpha().raw().toBuffer({ resolveWithObject: true }))
  return yield* decoded.pipe(
    Effect.map(({ data, info: { height, width } }): Canvas.Canvas => ({ data, height, width })),
    Effect.orElseSucceed(() => undefined)
  )
})

const encoded = Effect.fnUntraced(function*({ data, height, width }: Canvas.Canvas) {
  const { default: sharp } = yield* Effect.promise(() => import("sharp"))
  const image = sharp(data, { raw: { width, height, channels: 4 } })
  const bytes: Uint8Array = yield* Effect.promise(() => image.webp({ lossless: true, effort: 2 }).toBuffer())
  return bytes
})

/** Returns the width of a picture of strips, in its pixels. */
export const width = ({ lists, patchSize }: Pick<AtlasIndex.AtlasIndex, "lists" | "patchSize">): number =>
  Math.max(1, lists.sample * (patchSize + 1) - 1)

/** Makes the picture of the strips of some codes, as WebP: a row for each, with one transparent pixel between them. */
export const strips = (atlas: Atlas.Atlas, codes: ReadonlyArray<number>): Made =>
  Effect.gen(function*() {
    const { patchSize } = atlas.index
    const on = Canvas.canvas(width(atlas.index), Math.max(1, codes.length * (patchSize + 1) - 1))
    const found = yield* Effect.forEach(codes, (code) => strip(atlas, code), { concurrency: READERS })
    for (const [row, one] of found.entries()) {
      const top = row * (patchSize + 1)
      if (one === undefined) cross(on, 0, top, patchSize)
      else copy(on, one, 0, top, on.width, patchSize)
    }
    return yield* encoded(on)
  })

/** Makes an image drawn by patches of its codes, as WebP. */
export const mosaic = (atlas: Atlas.Atlas, { codes, grid }: Atlas.CodedImage): Made =>
  Effect.gen(function*() {
    const { patchSize } = atlas.index
    const on = Canvas.canvas(grid.width * patchSize, grid.height * patchSize)
    const distinct = Array.from(new Set(codes))
    const found = new Map(
      yield* Effect.forEach(
        distinct,
        (code) => Effect.map(strip(atlas, code), (one) => [code, one] as const),
        { concurrency: READERS }
      )
    )
    for (const [at, code] of codes.entries()) {
      const [left, top] = [(at % grid.width) * patchSize, Math.floor(at / grid.width) * patchSize]
      const one = found.get(code)
      if (one === undefined) cross(on, left, top, patchSize)
      else copy(on, one, left, top, patchSize, patchSize)
    }
    return yield* encoded(on)
  })
