/** Parquet files with a column of encoded images and one of labels, as Hugging Face publishes data sets. */
import { Effect, Option, Schema, Semaphore } from "effect"
import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  readOffsetIndex
} from "hyparquet"
import * as Compressors from "hyparquet-compressors"
import * as Json from "../../domain/Json.ts"
import * as Files from "../Files.ts"
import { FileDamaged, ImageBroken, UnknownSplit, within } from "../ImageSet.ts"
import * as Encoded from "./encoded.ts"
import * as Labels from "./labels.ts"
import { remember } from "./remember.ts"
import * as Shards from "./shards.ts"

/** How Parquet files are read. */
export interface Options extends Encoded.Options {
  /** The column of the images. Default `image`. */
  readonly image?: string
  /** The column of the labels. Default `label`, where there is such a column. */
  readonly label?: string
  /** The names of the classes, in order of their numbers. By default those that the file tells, or that the labels give. */
  readonly classes?: ReadonlyArray<string>
}

/** How many bytes of encoded images are kept, but at least what one read gives. */
const KEPT_BYTES = 256 * 2 ** 20

// A page without values, as of a column of nulls, is empty, which is no block to the decoder of LZ4.
const compressors = Object.fromEntries(
  Object.entries(Compressors.compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, length: number) => length === 0 ? new Uint8Array(0) : decompress(input, length)
  ])
)

/** What Hugging Face writes into a file about its columns. */
const Description = Json.text(Schema.Struct({
  info: Schema.Struct({ features: Schema.Record(Schema.String, Schema.Unknown) })
}))

const ClassLabel = Schema.Struct({ names: Schema.Array(Schema.String) })

const Cell = Schema.NullOr(Schema.Union([
  Schema.Uint8Array,
  Schema.Struct({ bytes: Schema.NullOr(Schema.Uint8Array) })
]))

interface Opened {
  readonly name: string
  readonly file: Awaited<ReturnType<typeof asyncBufferFromFile>>
  readonly metadata: FileMetaData
  readonly labels: ReadonlyArray<Labels.Label>
  readonly classes: ReadonlyArray<string> | undefined
  /** The first rows of what is read at once, in order, and the number of rows. */
  readonly starts: ReadonlyArray<number>
  /** The bytes of the largest of these. */
  readonly largest: number
}

/** The index of the last of `starts`, in order, that is at most `at`. */
const lastUpTo = (starts: ReadonlyArray<number>, at: number): number => {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (starts[middle]! <= at) low = middle
    else high = middle - 1
  }
  return low
}

const attempt = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new FileDamaged({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

const labelOf = (value: unknown): Labels.Label => {
  const label = typeof value === "bigint" ? Number(value) : value
  return typeof label === "string" || (typeof label === "number" && label !== -1) ? label : undefined
}

/** The rows at which pages begin where all pages of the images are indexed, else those at which row groups begin. */
const unitsOf = async (file: Opened["file"], { row_groups: groups }: FileMetaData, image: string) => {
  const starts: Array<number> = []
  let largest = 0
  let first = 0
  for (const group of groups) {
    const column = group.columns.find(({ meta_data: meta }) =>
      meta?.path_in_schema[0] === image && ["bytes", image].includes(meta.path_in_schema.at(-1) ?? "")
    )
    const { offset_index_length: length, offset_index_offset: offset } = column ?? {}
    if (length !== undefined && offset !== undefined) {
      const bytes = await file.slice(Number(offset), Number(offset) + length)
      const pages = readOffsetIndex({ view: new DataView(bytes), offset: 0 }).page_locations
      for (const page of pages) {
        starts.push(first + Number(page.first_row_index))
        largest = Math.max(largest, page.compressed_page_size)
      }
    } else {
      starts.push(first)
      largest = Math.max(largest, Number(column?.meta_data?.total_uncompressed_size ?? 0))
    }
    first += Number(group.num_rows)
  }
  return { starts, largest, rows: first }
}

export const make = Effect.fnUntraced(function*(shards: Shards.Shards, options: Options) {
  const { fs, path } = yield* Files.make
  const makeSet = Encoded.make(options)
  const splits = Object.keys(shards)
  const { image = "image", label = "label" } = options
  // Row groups may be large: they are read one at a time.
  const turns = yield* Semaphore.make(1)

  const open = Effect.fnUntraced(function*(shard: string) {
    yield* Files.onFailure(shard)(fs.stat(shard))
    const file = yield* attempt(() => asyncBufferFromFile(shard))
    const metadata = yield* attempt(() => parquetMetadataAsync(file))
    const columns = [
      ...new Set(
        metadata.row_groups.flatMap((group) =>
          group.columns.flatMap(({ meta_data: meta }) => meta?.path_in_schema[0] ?? [])
        )
      )
    ]
    const needed = options.label === undefined ? [image] : [image, options.label]
    for (const name of needed) {
      if (!columns.includes(name) && metadata.num_rows > 0n) {
        return yield* new FileDamaged({ problem: `it has no column "${name}", only ${columns.join(", ")}` })
      }
    }
    const rows = columns.includes(label)
      ? yield* attempt(() => parquetReadObjects({ file, metadata, columns: [label], compressors }))
      : []
    const description = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value
    const classes = Schema.decodeUnknownOption(Description)(description).pipe(
      Option.flatMap(({ info }) => Schema.decodeUnknownOption(ClassLabel)(info.features[label])),
      Option.map(({ names }) => names),
      Option.getOrUndefined
    )
    const { largest, rows: count, starts } = yield* attempt(() => unitsOf(file, metadata, image))
    const opened: Opened = {
      name: path.basename(shard),
      file,
      metadata,
      labels: Array.from({ length: count }, (_, row) => labelOf(rows[row]?.[label])),
      classes,
      starts: [...starts, count],
      largest
    }
    return opened
  }, (self, shard) => within(shard)(self))

  const filesOf = yield* remember((split: string) => Shards.forEach(`list ${split}`, shards[split] ?? [], open))

  // Labels mean the same in every split, also where one lacks a class.
  const everyLabel = yield* Effect.cached(
    Effect.map(
      Effect.forEach(splits, filesOf),
      (all) => new Set(all.flat().flatMap(({ labels }) => [...new Set(labels)]))
    )
  )

  const load = Effect.fn("Images.load")(function*(split: string) {
    if (!splits.includes(split)) return yield* within("images")(new UnknownSplit({ split, splits }))
    const files = yield* filesOf(split)
    const known = options.classes ?? files[0]?.classes
    const { classes, toIndices } = Labels.make(known === undefined ? yield* everyLabel : [], known)
    const firsts: Array<number> = []
    let total = 0
    for (const { labels } of files) {
      firsts.push(total)
      total += labels.length
    }
    const place = (index: number) => {
      const at = lastUpTo(firsts, index)
      return { at, opened: files[at]!, row: index - firsts[at]! }
    }
    const describe = (index: number) => {
      const { opened, row } = place(index)
      return `${opened.name} row ${row}`
    }
    const labels = yield* within(split)(toIndices(files.flatMap((opened) => opened.labels), describe))

    const largest = files.reduce((most, opened) => Math.max(most, opened.largest), 1)
    const unit = yield* remember(
      Effect.fnUntraced(function*(key: string) {
        const [at = 0, number = 0] = key.split(" ").map(Number)
        const { file, metadata, starts } = files[at]!
        return yield* attempt(() =>
          parquetReadObjects({
            file,
            metadata,
            compressors,
            columns: [image],
            rowStart: starts[number]!,
            rowEnd: starts[number + 1]!,
            utf8: false,
            useOffsetIndex: true
          })
        )
      }, turns.withPermit),
      Math.max(1, Math.floor(KEPT_BYTES / largest))
    )

    return yield* makeSet({
      split,
      empty: Shards.empty(split),
      classes,
      labels,
      describe,
      origin: describe,
      size: (index) => place(index).opened.file.byteLength,
      bytes: Effect.fnUntraced(function*(index) {
        const { at, opened, row } = place(index)
        const number = lastUpTo(opened.starts, row)
        const rows = yield* unit(`${at} ${number}`)
        const cell = Schema.decodeUnknownOption(Cell)(rows[row - opened.starts[number]!]?.[image])
        const bytes = Option.getOrNull(Option.map(cell, (value) => value instanceof Uint8Array ? value : value?.bytes))
        return bytes ?? (yield* new ImageBroken({ problem: `the column "${image}" holds no bytes here` }))
      })
    })
  })

  return { splits, load: yield* remember(load) }
})
