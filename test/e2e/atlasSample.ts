import { Effect, FileSystem, Path, Schema } from "effect"
import { createHash } from "node:crypto"
import sharp from "sharp"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import type * as Atlas from "../../src/pipelines/atlas/Atlas.ts"
import * as AtlasIndex from "../../src/pipelines/atlas/AtlasIndex.ts"

export const CODES = 600
export const HOSTILE = "</ol><script>document.title = 'taken over'</script>"

const int32 = (shape: ReadonlyArray<number>, of: (at: number) => number): Safetensors.Tensor => ({
  dtype: "int32",
  shape,
  data: Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => of(at))
})
const float32 = (shape: ReadonlyArray<number>, of: (at: number) => number): Safetensors.Tensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => of(at))
})

const listed = (name: string) => ({
  [`${name}.images`]: int32([CODES, 2], (at) => at % 7),
  [`${name}.patches`]: int32([CODES, 2], (at) => at % 4),
  [`${name}.values`]: float32([CODES, 2], (at) => at / 10)
})

const identity = {
  format: 1,
  tokenizer: "0",
  split: "val",
  images: "0",
  imageSize: 16,
  patchSize: 8,
  view: {},
  lists: { nearest: 2, farthest: 2, misses: 2, sample: 2 },
  keepsImages: true,
  countsClasses: true,
  thumbnails: 16
} as const

export const atlas: Atlas.Atlas = {
  folder: "none",
  index: {
    ...identity,
    grid: { height: 2, width: 2 },
    classes: ["cat", HOSTILE],
    figures: {
      images: 7,
      patches: 28,
      codes: CODES,
      used: CODES - 1,
      perplexity: 12,
      mutualInformation: { bits: 0.5, classEntropy: 1, codeEntropy: 3, normalised: 0.5 }
    },
    window: 16,
    map: "PCA",
    arrays: "0",
    computedOn: [],
    patchword: "0"
  },
  tensors: {
    counts: int32([CODES], (code) => code === 9 ? 0 : 1 + code % 50),
    positions: int32([CODES, 4], (at) => at % 5),
    labels: int32([7], (at) => at % 2),
    colours: float32([CODES, 3], (at) => at % 255),
    ...listed("nearest"),
    ...listed("farthest"),
    ...listed("misses"),
    ...listed("sample"),
    "neighbours.codes": int32([CODES, 3], (at) => (Math.floor(at / 3) + 1 + at % 3) % CODES),
    "neighbours.cosines": float32([CODES, 3], (at) => 1 - at % 3 / 4),
    "together.images.codes": int32([CODES, 2], (at) => (Math.floor(at / 2) + 1 + at % 2) % CODES),
    "together.images.counts": float32([CODES, 2], () => 8),
    "together.images.expected": float32([CODES, 2], () => 2),
    "together.images.measures": float32([CODES, 2], (at) => 0.5 - at % 2 / 4),
    map: float32([CODES, 2], (at) => (at % 2 === 0 ? Math.floor(at / 2) % 30 : Math.floor(at / 60)) / 30),
    "classes.bits": float32([CODES], (code) => code / CODES),
    "classes.classes": int32([CODES, 1], (code) => code % 2),
    "classes.counts": int32([CODES, 1], () => 1),
    "classes.totals": int32([2], () => 14)
  },
  lost: new Map()
}

/** Writes the atlas into a run folder, with the pictures of a few codes. */
export const write = Effect.fnUntraced(function*(
  run: string,
  pictures: ReadonlyArray<number>,
  figures: Partial<Atlas.Figures> = {},
  tokenizer = atlas.index.tokenizer
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const at = (name: string) => path.join(run, AtlasIndex.FOLDER, name)
  yield* fs.makeDirectory(at("patches"), { recursive: true })
  const arrays = Safetensors.encode(atlas.tensors)
  const index = {
    ...atlas.index,
    tokenizer,
    figures: { ...atlas.index.figures, ...figures },
    arrays: createHash("sha256").update(arrays).digest("hex")
  }
  yield* fs.writeFile(at(AtlasIndex.ARRAYS), arrays)
  yield* fs.writeFileString(at(AtlasIndex.INDEX), yield* Schema.encodeEffect(AtlasIndex.IndexText)(index))
  const { images } = index.figures
  const codes = Uint16Array.from({ length: images * 4 }, (_, i) => i % CODES)
  yield* fs.writeFile(at(AtlasIndex.IMAGES), new Uint8Array(codes.buffer))
  const names = Array.from({ length: images }, (_, i) => Buffer.from(`${HOSTILE} ${i}`))
  const ends = new BigUint64Array(images + 1)
  for (const [i, name] of names.entries()) ends[i + 1] = ends[i]! + BigInt(name.length)
  yield* fs.writeFile(at(AtlasIndex.NAMES), Buffer.concat([Buffer.from(ends.buffer), ...names]))
  const strip = sharp({ create: { width: 17, height: 8, channels: 3, background: "red" } }).webp({ lossless: true })
  const picture = yield* Effect.promise(() => strip.toBuffer())
  const small = Array.from({ length: images }, () => picture)
  const positions = BigUint64Array.from(
    [0, ...small.keys()],
    (at, i) => BigInt(i === 0 ? 0 : (at + 1) * picture.length)
  )
  yield* fs.writeFile(at(AtlasIndex.THUMBNAILS), Buffer.concat([Buffer.from(positions.buffer), ...small]))
  for (const code of pictures) yield* fs.writeFile(at(AtlasIndex.picture("patches", code)), picture)
})
