/** A synthetic atlas of a large codebook, to measure its pages. */
import { Effect, FileSystem, Path } from "effect"
import sharp from "sharp"
import * as KeyedRandom from "../src/domain/values/KeyedRandom.ts"
import * as Safetensors from "../src/domain/weights/Safetensors.ts"
import * as Files from "../src/layers/files/Files.ts"
import * as AtlasIndex from "../src/pipelines/atlas/AtlasIndex.ts"

const [GRID, PATCH, LIST, SHOWN, NEIGHBOURS] = [14, 16, 12, 10, 8]
const SMALL = 112
const PATCHES = GRID * GRID
const CLASSES = Array.from({ length: 1000 }, (_, i) => `class ${i}`)

/** Writes the atlas of `codes` codes over `images` images into a run. */
export const write = Effect.fnUntraced(function*(run: string, codes: number, images: number) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = path.join(run, AtlasIndex.FOLDER)
  const { uniform } = KeyedRandom.generator({ seed: 0, purpose: "atlas", epoch: 0, index: 0 })
  const int32 = (shape: ReadonlyArray<number>, below: number): Safetensors.Tensor => ({
    dtype: "int32",
    shape,
    data: Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.floor(below * uniform()))
  })
  const float32 = (shape: ReadonlyArray<number>, below: number): Safetensors.Tensor => ({
    dtype: "float32",
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => below * uniform())
  })
  const list = (name: string, length: number) => ({
    [`${name}.images`]: int32([codes, length], images),
    [`${name}.patches`]: int32([codes, length], PATCHES),
    [`${name}.values`]: float32([codes, length], 1)
  })
  const arrays = Safetensors.encode({
    counts: int32([codes], Math.ceil(2 * images * PATCHES / codes)),
    positions: int32([codes, PATCHES], 100),
    labels: int32([images], CLASSES.length),
    colours: float32([codes, 3], 255),
    ...list("nearest", LIST),
    ...list("farthest", LIST),
    ...list("misses", LIST),
    ...list("sample", SHOWN),
    "neighbours.codes": int32([codes, NEIGHBOURS], codes),
    "neighbours.cosines": float32([codes, NEIGHBOURS], 1),
    map: float32([codes, 2], 1),
    "classes.bits": float32([codes], 1),
    "classes.classes": int32([codes, 5], CLASSES.length),
    "classes.counts": int32([codes, 5], 100),
    "classes.totals": int32([CLASSES.length], 10_000)
  }, {})
  yield* fs.makeDirectory(folder, { recursive: true })
  const put = (name: string, content: Uint8Array) => fs.writeFile(path.join(folder, name), content)
  yield* put(AtlasIndex.ARRAYS, arrays)
  const chosen = Uint16Array.from({ length: images * PATCHES }, () => Math.floor(codes * uniform()))
  yield* put(AtlasIndex.IMAGES, new Uint8Array(chosen.buffer))
  const names = Array.from({ length: images }, (_, i) => `image-${i}.jpg`)
  let end = 0
  const ends = BigUint64Array.from([0, ...names.map((name) => end += name.length)].map(BigInt))
  yield* put(AtlasIndex.NAMES, Buffer.concat([new Uint8Array(ends.buffer), Buffer.from(names.join(""))]))
  const small = yield* Effect.promise(() =>
    sharp(Uint8Array.from({ length: 3 * SMALL * SMALL }, (_, i) => 128 + 100 * Math.sin(i / 50)), {
      raw: { width: SMALL, height: SMALL, channels: 3 }
    }).webp({ quality: 75 }).toBuffer()
  )
  const positions = BigUint64Array.from({ length: images + 1 }, (_, i) => BigInt(i * small.length))
  yield* put(
    AtlasIndex.THUMBNAILS,
    Buffer.concat([new Uint8Array(positions.buffer), ...Array.from({ length: images }, () => small)])
  )
  const index: AtlasIndex.AtlasIndex = {
    format: 1,
    tokenizer: "0",
    split: "train",
    images: "0",
    imageSize: GRID * PATCH,
    patchSize: PATCH,
    view: {},
    lists: { nearest: LIST, farthest: LIST, misses: LIST, sample: SHOWN },
    keepsImages: true,
    countsClasses: true,
    thumbnails: SMALL,
    grid: { height: GRID, width: GRID },
    classes: CLASSES,
    figures: {
      images,
      patches: images * PATCHES,
      codes,
      used: codes,
      perplexity: codes / 2,
      mutualInformation: { bits: 0.5, classEntropy: 9, codeEntropy: 12, normalised: 0.05 }
    },
    window: 5 * PATCH,
    map: "UMAP",
    arrays: Files.sha256(arrays),
    computedOn: [],
    patchword: "0"
  }
  yield* put(AtlasIndex.INDEX, Buffer.from(JSON.stringify(index)))
  const width = SHOWN * (PATCH + 1) - 1
  const noise = Uint8Array.from({ length: 3 * width * PATCH }, () => Math.floor(256 * uniform()))
  const strip = yield* Effect.promise(() =>
    sharp(noise, { raw: { width, height: PATCH, channels: 3 } }).webp().toBuffer()
  )
  for (const kind of AtlasIndex.PICTURES) {
    yield* fs.makeDirectory(path.join(folder, kind), { recursive: true })
    for (let code = 0; code < codes; code++) yield* put(AtlasIndex.picture(kind, code), strip)
  }
})
