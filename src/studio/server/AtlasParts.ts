/** Parts of an atlas that the server makes for its pages: the list as data, pictures of many codes. */
import { Effect, type FileSystem, type Path } from "effect"
import { version } from "../../domain/values/Version.ts"
import type { FileError } from "../../layers/files/Files.ts"
import * as Atlas from "../../pipelines/atlas/Atlas.ts"
import * as Sprites from "../../pipelines/atlas/Sprites.ts"
import * as CodeList from "../../pipelines/atlas/views/CodeList.ts"
import type { Place } from "../pages/View.ts"
import type { Made } from "./Answers.ts"

type Io = FileSystem.FileSystem | Path.Path

/** A part. */
export type Part = Made<Atlas.AtlasError | FileError, Io>

type Make = (atlas: Atlas.Atlas) => Part["bytes"] | undefined

const PICTURE = "image/webp"

const STRIPS = /^strips\/(\d{1,9}(?:-\d{1,9})*)\.webp$/
const IMAGE = /^(mosaics|thumbnails)\/(\d{1,9})\.webp$/

const mosaic = (atlas: Atlas.Atlas, image: number): Part["bytes"] | undefined =>
  image < atlas.index.figures.images && atlas.index.keepsImages
    ? Effect.flatMap(Atlas.image(atlas, image), (coded) => Sprites.mosaic(atlas, coded!))
    : undefined

const thumbnail = (atlas: Atlas.Atlas, image: number): Part["bytes"] | undefined =>
  image < atlas.index.figures.images && atlas.index.thumbnails > 0
    ? Effect.map(Atlas.thumbnail(atlas, image), (bytes) => bytes!)
    : undefined

/** Tells how to make the part with a name. */
const makeOf = (name: string): { readonly type: string; readonly make: Make } | undefined => {
  if (name === "codes.json") {
    return {
      type: "application/json; charset=utf-8",
      make: (atlas) => Effect.sync(() => new TextEncoder().encode(JSON.stringify(CodeList.data(atlas))))
    }
  }
  const strips = STRIPS.exec(name)?.[1]
  if (strips !== undefined) {
    const codes = strips.split("-").map(Number)
    return {
      type: PICTURE,
      make: (atlas) =>
        codes.length <= Sprites.MOST && codes.every((code) => code < atlas.index.figures.codes)
          ? Sprites.strips(atlas, codes)
          : undefined
    }
  }
  const image = IMAGE.exec(name)
  if (image === null) return undefined
  const [, kind, number] = image
  return {
    type: PICTURE,
    make: (atlas) => kind === "mosaics" ? mosaic(atlas, Number(number)) : thumbnail(atlas, Number(number))
  }
}

/** Finds a part of the atlas of a run by its name. `undefined` if there is none. */
export const find = Effect.fnUntraced(function*(
  open: Place["atlas"],
  run: string,
  name: string
): Effect.fn.Return<Part | undefined, Atlas.AtlasError | FileError, Io> {
  const found = makeOf(name)
  if (found === undefined) return undefined
  const bytes = found.make(yield* open(run))
  if (bytes === undefined) return undefined
  const part: Part = {
    type: found.type,
    bytes,
    version: Effect.map(Atlas.version(run), (text) => `${text} ${name} ${version}`)
  }
  return part
})
