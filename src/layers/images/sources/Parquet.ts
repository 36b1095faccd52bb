/** Parquet files with a column of encoded images and one of labels, as Hugging Face publishes data sets. */
import { Effect, Option, Schema, Semaphore } from "effect"
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  readOffsetIndex,
  type SchemaTree
} from "hyparquet"
import * as Compressors from "hyparquet-compressors"
import * as Label from "../../../domain/evaluation/Label.ts"
import * as Json from "../../../domain/values/Json.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import * as EncodedImages from "../reading/EncodedImages.ts"
import {
  FileDamaged,
  FileTruncated,
  ImageBroken,
  LabelsUnusable,
  UnknownSplit,
  within
} from "../reading/ImagesError.ts"
import { arrowDurations } from "./ArrowDurations.ts"
import * as Labels from "./Labels.ts"
import * as Shards from "./Shards.ts"

/** How Parquet files are read. */
export interface Options extends EncodedImages.Options {
  /** The column of the images. Default `image`. */
  readonly image?: string
  /**
   * The column of the labels; `false` where none are wanted. Default `label`, where there is such a column and none that
   * could be meant as well.
   */
  readonly label?: string | false
  /** The names of the classes, in order of their numbers. By default those that the file tells, or that the labels give. */
  readonly classes?: ReadonlyArray<string>
}

/** How many bytes of encoded images are kept, but at least what one read gives. */
const KEPT_BYTES = 256 * 2 ** 20

/** A Parquet file begins and ends with four letters, before the last of which stands the length of its description. */
const SHORTEST = 12

// A page without values, as of a column of nulls, is empty, which is no block to the decoder of LZ4.
const compressors = Object.fromEntries(
  Object.entries(Compressors.compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, length: number) => length === 0 ? new Uint8Array(0) : decompress(input, length)
  ])
)

/** So many classes are named where lists of them differ. */
const NAMED = 8

/** What is read as the label where there is no file. */
const NO_SOURCE = { read: "nothing", missing: "nothing" }

/** What Hugging Face writes into a file about its columns. */
const Description = Schema.Struct({
  info: Schema.Struct({ features: Schema.Record(Schema.String, Schema.Unknown) })
})

const ClassLabel = Schema.Struct({ _type: Schema.Literal("ClassLabel") })

const Names = Schema.Struct({
  names: Schema.Union([Schema.Array(Schema.String), Schema.Record(Schema.String, Schema.String)])
})

/** The names of a column's classes, a list or by their numbers; nothing where none are told. */
const namesOf = Effect.fnUntraced(function*(features: Readonly<Record<string, unknown>>, column: string) {
  const feature = Object.hasOwn(features, column) ? features[column] : undefined
  const { names } = Option.getOrElse(Schema.decodeUnknownOption(Names)(feature), () => ({ names: undefined }))
  const counted = names === undefined
    ? []
    : Object.entries(names).toSorted(([one], [other]) => Number(one) - Number(other))
  if (names !== undefined && counted.every(([key], at) => key === String(at))) return counted.map(([, name]) => name)
  if (names === undefined && !Schema.is(ClassLabel)(feature)) return undefined
  return yield* new LabelsUnusable({
    problem:
      `the description of the column "${column}" names classes, but not each from 0 on; write it with a list of names`
  })
})

const Cell = Schema.NullOr(Schema.Union([
  Schema.Uint8Array,
  Schema.Struct({ bytes: Schema.NullOr(Schema.Uint8Array) })
]))

interface Opened {
  readonly shard: string
  readonly name: string
  readonly file: AsyncBuffer
  readonly metadata: FileMetaData
  /** Numbers are names by now where the file names them. */
  readonly labels: ReadonlyArray<Label.Label>
  readonly names: ReadonlyArray<string> | undefined
  readonly source: Labels.Given["source"]
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

const damaged = (problem: string) => new FileDamaged({ problem })

/** The bytes of a file. Failures that nobody waits for are none: the reader asks for places before it knows that it needs them. */
const bufferOf = async (name: string): Promise<AsyncBuffer> => {
  const { byteLength, slice } = await asyncBufferFromFile(name)
  const read = async (start: number, end: number): Promise<ArrayBuffer> => {
    if (start >= 0 && start <= end && end <= byteLength) return slice(start, end)
    throw new RangeError(`it tells of the bytes ${start} to ${end}, but has ${byteLength}`)
  }
  return {
    byteLength,
    slice: (start, end = byteLength) => {
      const bytes = read(start, end)
      bytes.catch(() => {})
      return bytes
    }
  }
}

const hasPath = (tree: SchemaTree, [name, ...rest]: ReadonlyArray<string>): boolean =>
  name === undefined || tree.children.some((child) => child.element.name === name && hasPath(child, rest))

/** What is wrong with a description of columns and row groups, as far as reading on would go astray. */
const fault = ({ num_rows, row_groups: groups }: FileMetaData, schema: SchemaTree, image: string) => {
  if (schema.children.some(({ element: { name } }) => typeof name !== "string")) return "a column has no name"
  for (const { columns, num_rows: rows } of groups) {
    const paths = columns.map(({ meta_data: meta }) => meta?.path_in_schema ?? [])
    const stray = paths.find((path) => path.length === 0 || !hasPath(schema, path))
    if (stray !== undefined) return `a row group has a column "${stray.join(".")}" that is none of the file`
    const held = columns.filter((_, i) => paths[i]![0] === image)
    if (held.length === 0 && hasPath(schema, [image])) return `a row group has no column "${image}"`
    if (rows < 0n || held.some(({ meta_data: meta }) => meta?.num_values !== rows)) {
      return `a row group of ${rows} rows has another number of values in the column "${image}"`
    }
  }
  const rows = groups.reduce((sum, group) => sum + group.num_rows, 0n)
  return rows === num_rows ? undefined : `it should have ${num_rows} rows but has ${rows}`
}

/** Why a column cannot hold labels, by its type; nothing where it can. */
const unfit = ({ children, element }: SchemaTree): string | undefined => {
  const { converted_type: converted, logical_type: logical, repetition_type: repetition, type } = element
  if (repetition === "REPEATED" || converted === "LIST") return "a list"
  if (children.length > 0) return converted?.startsWith("MAP") ? "a map" : "a struct"
  const meaning = logical?.type ?? converted
  const isText = type === "BYTE_ARRAY" && (meaning === undefined || ["STRING", "UTF8", "ENUM"].includes(meaning))
  const isInteger = (type === "INT32" || type === "INT64") &&
    (meaning === undefined || meaning === "INTEGER" || meaning === "NULL" || /^U?INT_\d+$/.test(meaning))
  return isText || isInteger
    ? undefined
    : `of the type ${[type, meaning].filter((part) => part !== undefined).join(" ")}`
}

const sameNames = (some: ReadonlyArray<string>, others: ReadonlyArray<string>): boolean =>
  some.length === others.length && new Set([...some, ...others]).size === some.length

const decoder = new TextDecoder()

/** The rows at which pages begin where all pages of the images are indexed, else those at which row groups begin. */
const unitsOf = async (file: AsyncBuffer, { row_groups: groups }: FileMetaData, image: string) => {
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
  const makeSet = EncodedImages.make(options)
  const splits = Object.keys(shards)
  const { image = "image", label = "label" } = options
  // Row groups may be large: they are read one at a time.
  const turns = yield* Semaphore.make(1)

  /** The column of the labels; nothing where there is none. */
  const columnOf = Effect.fnUntraced(function*({ children }: SchemaTree, described: Readonly<Record<string, unknown>>) {
    const columns = children.map(({ element }) => element.name)
    const count = columns.filter((name) => name === label).length
    if (count > 1) {
      return yield* new LabelsUnusable({
        problem: `there are ${count} columns "${label}"; give each a name of its own`
      })
    }
    const column = children.find(({ element }) => element.name === label)
    if (column !== undefined) {
      const problem = unfit(column)
      if (problem === undefined) return column
      const others = columns.filter((name) => name !== image && name !== label)
      const another = others.length === 0 ? "read" : `name one of ${others.join(", ")} by --label-column, or`
      return yield* new LabelsUnusable({
        problem: `the column "${label}" is ${problem}, and labels are texts or integers; ` +
          `${another} none by --label-column none`
      })
    }
    if (label === false) return undefined
    const classLabels = columns.filter((name) => Schema.is(ClassLabel)(described[name]))
    const meant = new Set([...classLabels, ...Label.candidates(columns.filter((name) => name !== image))])
    if (options.label !== undefined) return yield* damaged(`it has no column "${label}", only ${columns.join(", ")}`)
    if (meant.size === 0) return undefined
    return yield* new LabelsUnusable({
      problem: `there is no column "${label}", but ${[...meant].join(", ")} could be meant; ` +
        `name one by --label-column ${[...meant][0]}, or none by --label-column none`
    })
  })

  const labelsOf = Effect.fnUntraced(function*(
    { file, metadata, shard }: Pick<Opened, "file" | "metadata" | "shard">,
    schema: SchemaTree
  ) {
    const { value: text = "{}" } = metadata.key_value_metadata?.find(({ key }) => key === "huggingface") ?? {}
    const description = yield* Effect.mapError(
      Effect.fromResult(Json.parse(text)),
      ({ problem }) => new FileDamaged({ problem: `its description of the columns, huggingface: ${problem}` })
    )
    const described = Option.match(Schema.decodeUnknownOption(Description)(description), {
      onNone: () => ({}),
      onSome: ({ info }) => info.features
    })
    const column = yield* columnOf(schema, described)
    if (column === undefined || label === false) {
      const missing = label === false
        ? "nothing, as asked"
        : `nothing: there is no column "${label}", only ${
          schema.children.map(({ element }) => element.name).join(", ")
        }`
      return { labels: undefined, names: undefined, source: { read: missing, missing } }
    }
    const arrow = metadata.key_value_metadata?.find(({ key }) => key === "ARROW:schema")?.value
    const durations = arrow === undefined ? [] : yield* attempt(async () => arrowDurations(arrow))
    if (durations.includes(label)) {
      return yield* new LabelsUnusable({
        problem:
          `the column "${label}" is of durations, and labels are texts or integers; name one by --label-column, or ` +
          "read none by --label-column none"
      })
    }
    const rows = yield* attempt(() =>
      parquetReadObjects({ file, metadata, columns: [label], compressors, utf8: false })
    )
    const names = yield* namesOf(described, label)
    if (names !== undefined) yield* Labels.distinct(names)
    const read = yield* Labels.readAll(
      rows,
      ({ [label]: cell }) => Label.of(cell instanceof Uint8Array ? decoder.decode(cell) : cell),
      (row) => `${path.basename(shard)} row ${row}`
    )
    const labels = names === undefined
      ? read
      : read.map((one) => typeof one === "bigint" && one >= 0n ? names[Number(one)] ?? one : one)
    const missing = `nothing: the column "${label}" is empty`
    return { labels, names, source: { read: `the column "${label}"`, missing } }
  })

  const open = Effect.fnUntraced(function*(shard: string) {
    yield* Shards.stat(fs, shard)
    const file = yield* attempt(() => bufferOf(shard))
    if (file.byteLength < SHORTEST) return yield* new FileTruncated({ expected: SHORTEST, found: file.byteLength })
    const metadata = yield* attempt(() => parquetMetadataAsync(file))
    const schema = yield* attempt(async () => parquetSchema(metadata))
    const columns = schema.children.map(({ element }) => element.name)
    // What a damaged file tells may be of any type.
    const problem = yield* attempt(async () => fault(metadata, schema, image))
    if (problem !== undefined) return yield* damaged(problem)
    if (columns.indexOf(image) !== columns.lastIndexOf(image)) {
      return yield* damaged(`it has several columns "${image}"`)
    }
    if (!columns.includes(image)) return yield* damaged(`it has no column "${image}", only ${columns.join(", ")}`)
    const { largest, rows: count, starts } = yield* attempt(() => unitsOf(file, metadata, image))
    const { labels, names, source } = yield* labelsOf({ file, metadata, shard }, schema)
    const opened: Opened = {
      shard,
      name: path.basename(shard),
      file,
      metadata,
      labels: labels ?? Array.from({ length: count }, () => undefined),
      names,
      source,
      starts: [...starts, count],
      largest
    }
    return opened
  }, (self, shard) => within(shard)(self))

  const filesOf = yield* memoize((split: string) => Shards.forEach(`list ${split}`, shards[split] ?? [], open))

  /** The names that the files of a split give their numbers. Fails where they disagree. */
  const joined = Effect.fnUntraced(function*(files: ReadonlyArray<Opened>) {
    const filled = files.filter(({ labels }) => labels.length > 0)
    const first = filled.find(({ names }) => names !== undefined)
    if (first?.names === undefined) return undefined
    const known = first.names
    const odd = filled.find(({ labels, names }) =>
      names === undefined ? labels.some((one) => typeof one === "bigint") : !sameNames(names, known)
    )
    if (odd === undefined) return known
    const list = ({ names }: Opened) =>
      names === undefined ? "no names" : `${names.slice(0, NAMED).join(", ")}${names.length > NAMED ? ", ..." : ""}`
    return yield* new LabelsUnusable({
      problem: `${first.shard} and ${odd.shard} call their classes by other names (${list(first)}; ${list(odd)}), ` +
        "so that their numbers do not mean the same; write both with one list of names"
    })
  })

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
    const names = yield* within(split)(joined(files))
    const every = files.flatMap(({ labels }) => labels)
    // Given classes that are none of the files' are other names for their numbers.
    const renamed = names !== undefined && options.classes !== undefined && !sameNames(names, options.classes)
      ? new Map(names.map((name, at) => [name, BigInt(at)]))
      : new Map<string, bigint>()
    const known = options.classes ?? names
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
    const { classes, labelSource, labels } = yield* within(split)(Labels.number({
      labels: every.map((one) => typeof one === "string" ? renamed.get(one) ?? one : one),
      describe,
      known: known === undefined ? undefined : { keys: known, classes: known },
      every: known === undefined ? yield* everyLabel : [],
      source: (files.find((opened) => opened.labels.some((one) => one !== undefined)) ?? files[0])?.source ??
        NO_SOURCE
    }))

    const largest = files.reduce((most, opened) => Math.max(most, opened.largest), 1)
    const unit = yield* memoize(
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
      labelSource,
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

  return { splits, load: yield* memoize(load) }
})
