/** WebDataset: tar shards in which the files of one name, but for their endings, are a sample. */
import { NodeStream } from "@effect/platform-node"
import { Effect, Option, Schema, Stream } from "effect"
import { createReadStream } from "node:fs"
import { pipeline } from "node:stream/promises"
import { createGunzip } from "node:zlib"
import * as Tar from "tar-stream"
import * as Json from "../../domain/Json.ts"
import * as Files from "../Files.ts"
import { FileDamaged, FileTruncated, UnknownSplit, within } from "../ImageSet.ts"
import { EXTENSIONS } from "./decode.ts"
import * as Encoded from "./encoded.ts"
import * as Labels from "./labels.ts"
import { remember } from "./remember.ts"
import * as Shards from "./shards.ts"

/** How tar shards are read. */
export interface Options extends Encoded.Options {
  /** The names of the classes, in order of their numbers. By default those that the labels of all splits give. */
  readonly classes?: ReadonlyArray<string>
  /** The field of a sample's `.json` that is its label, for samples without `.cls`. Default `label`. */
  readonly label?: string
  /**
   * Where the lists of the shards' samples, and unpacked shards, are kept between runs. By default a folder `.patchword`
   * beside each shard.
   */
  readonly cache?: string
}

/** The samples of a shard, a column each. */
const Index = Json.text(Schema.Struct({
  names: Schema.Array(Schema.String),
  offsets: Schema.Array(Schema.Int),
  sizes: Schema.Array(Schema.Int),
  labels: Schema.Array(Schema.NullOr(Schema.Union([Schema.Int, Schema.String])))
}))

interface Sample {
  readonly shard: string
  readonly tar: string
  readonly name: string
  readonly offset: number
  readonly size: number
  readonly label: Labels.Label
}

/** A file of a shard; `text` where it may hold a label. */
interface Member {
  readonly key: string
  readonly ending: string
  readonly offset: number
  readonly size: number
  readonly text: string
}

// Up to the first dot of the last part, files of a sample are called the same. Hidden files belong to none.
const NAME = /^(?:\.\/)?((?:.*\/)?[^./]+)\.([^/]*)$/

const TAR = "shard.tar"

const BLOCK = 512

const members = async (file: string, length: number, signal: AbortSignal): Promise<ReadonlyArray<Member>> => {
  const found: Array<Member> = []
  const extract = Tar.extract()
  extract.on("entry", ({ name, size, type }, content, next) => {
    const offset = content.offset + BLOCK
    const end = BLOCK * Math.ceil((offset + size) / BLOCK)
    // The shard fails by itself.
    content.on("error", () => {})
    if (end > length) return next(new FileTruncated({ expected: end, found: length }))
    const [, key, ends = ""] = NAME.exec(name) ?? []
    const ending = ends.toLowerCase()
    const isText = ending === "cls" || ending === "json"
    const chunks: Array<Uint8Array> = []
    content.on("data", (chunk) => {
      if (isText && chunk instanceof Uint8Array) chunks.push(chunk)
    })
    content.on("end", () => {
      if (key !== undefined && type === "file") {
        const text = Buffer.concat(chunks).toString()
        found.push({ key, ending, offset, size, text })
      }
      next()
    })
  })
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), extract, { signal })
  return found
}

const damaged = (cause: unknown): FileDamaged | FileTruncated =>
  cause instanceof FileTruncated
    ? cause
    : new FileDamaged({ problem: cause instanceof Error ? cause.message : String(cause) })

export const make = Effect.fnUntraced(function*(shards: Shards.Shards, options: Options) {
  const files = yield* Files.make
  const { fs, path } = files
  const makeSet = Encoded.make(options)
  const splits = Object.keys(shards)
  const field = options.label ?? "label"
  const Fields = Json.text(
    Schema.Struct({ [field]: Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.Int, Schema.String]))) })
  )

  const labelOf = Effect.fnUntraced(function*(files: ReadonlyArray<Member>) {
    const cls = files.find(({ ending }) => ending === "cls")
    if (cls !== undefined) {
      const text = cls.text.trim()
      return /^-?\d+$/.test(text) ? Number(text) : text
    }
    const json = files.find(({ ending }) => ending === "json")
    if (json === undefined) return null
    const fields = yield* Effect.mapError(
      Schema.decodeEffect(Fields)(json.text),
      ({ message }) => new FileDamaged({ problem: `${json.key}.json: ${message}` })
    )
    return fields[field] ?? null
  })

  const scan = Effect.fnUntraced(function*(tar: string) {
    const { size: length } = yield* Files.onFailure(tar)(fs.stat(tar))
    const found = yield* Effect.tryPromise({
      try: (signal) => members(tar, Number(length), signal),
      catch: damaged
    })
    const names: Array<string> = []
    const offsets: Array<number> = []
    const sizes: Array<number> = []
    const labels: Array<number | string | null> = []
    // Files of a sample stand side by side.
    for (let start = 0, end = 0; start < found.length; start = end) {
      const { key } = found[start]!
      while (found[end]?.key === key) end++
      const together = found.slice(start, end)
      const image = together.find(({ ending }) => EXTENSIONS.includes(ending))
      if (image === undefined) continue
      names.push(`${key}.${image.ending}`)
      offsets.push(image.offset)
      sizes.push(image.size)
      labels.push(yield* labelOf(together))
    }
    const index: typeof Index.Type = { names, offsets, sizes, labels }
    return index
  })

  const isGzip = (file: string) =>
    Effect.scoped(Effect.flatMap(fs.open(file), (handle) => handle.readAlloc(2))).pipe(
      Effect.map(Option.exists((magic) => magic[0] === 0x1f && magic[1] === 0x8b))
    )

  const unpack = (file: string, folder: string) =>
    files.writeFolder(folder, (temporary) =>
      fs.stream(file).pipe(
        NodeStream.pipeThroughDuplex({ evaluate: () => createGunzip(), onError: damaged, chunkSize: 64 }),
        Stream.run(fs.sink(path.join(temporary, TAR))),
        Files.onFailure(folder)
      ))

  const readRange = Effect.fnUntraced(
    function*(file: string, offset: number, size: number) {
      const handle = yield* fs.open(file)
      const bytes = new Uint8Array(size)
      let filled = 0
      while (filled < size) {
        const count = yield* handle.read(bytes.subarray(filled), { position: BigInt(offset + filled) })
        if (count === 0) return yield* new FileTruncated({ expected: offset + size, found: offset + filled })
        filled += count
      }
      return bytes
    },
    Effect.scoped,
    (self, file) => Files.onFailure(file)(self)
  )

  /** The samples of a shard, from the list that an earlier run has made where there is one. */
  const open = Effect.fnUntraced(function*(shard: string) {
    const { mtime, size } = yield* Files.onFailure(shard)(fs.stat(shard))
    const identity = Files.sha256(JSON.stringify([path.resolve(shard), String(size), mtime]))
    const folder = path.join(
      options.cache ?? path.join(path.dirname(shard), ".patchword"),
      `${path.basename(shard)}-${identity.slice(0, 16)}`
    )
    const packed = yield* Files.onFailure(shard)(isGzip(shard))
    const tar = packed ? path.join(folder, TAR) : shard
    if (packed && !(yield* Files.onFailure(tar)(fs.exists(tar)))) yield* unpack(shard, folder)
    // Another field gives other labels.
    const file = path.join(folder, `index-${Files.sha256(field).slice(0, 8)}.json`)
    const index = yield* Effect.flatMap(files.readText(file), Schema.decodeEffect(Index)).pipe(
      Effect.catch(() =>
        scan(tar).pipe(
          Effect.tap((made) =>
            Effect.flatMap(Schema.encodeEffect(Index)(made), (text) => files.write(file, text)).pipe(
              Effect.catch(({ message }) => Effect.logWarning(`shards are listed anew in every run: ${message}`))
            )
          )
        )
      )
    )
    return index.names.map((name, i): Sample => ({
      shard: path.basename(shard),
      tar,
      name,
      offset: index.offsets[i]!,
      size: index.sizes[i]!,
      label: index.labels[i] === -1 ? undefined : index.labels[i] ?? undefined
    }))
  }, (self, shard) => within(shard)(self))

  const samplesOf = yield* remember((split: string) =>
    Effect.map(Shards.forEach(`list ${split}`, shards[split] ?? [], open), (samples) => samples.flat())
  )

  // Labels mean the same in every split, also where one lacks a class.
  const everyLabel = yield* Effect.cached(
    Effect.map(
      Effect.forEach(splits, samplesOf),
      (all) => new Set(all.flatMap((some) => some.map(({ label }) => label)))
    )
  )

  const load = Effect.fn("Images.load")(function*(split: string) {
    if (!splits.includes(split)) return yield* within("images")(new UnknownSplit({ split, splits }))
    const samples = yield* samplesOf(split)
    const { classes, toIndices } = Labels.make(options.classes === undefined ? yield* everyLabel : [], options.classes)
    const describe = (index: number) => `${samples[index]?.shard ?? ""}/${samples[index]?.name ?? ""}`
    const labels = yield* within(split)(toIndices(samples.map(({ label }) => label), describe))
    return yield* makeSet({
      split,
      empty: Shards.empty(split),
      classes,
      labels,
      describe,
      origin: describe,
      size: (index) => samples[index]?.size ?? 0,
      bytes: (index) => {
        const { offset, size, tar } = samples[index]!
        return readRange(tar, offset, size)
      }
    })
  })

  return { splits, load: yield* remember(load) }
})
