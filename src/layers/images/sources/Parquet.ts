/** Parquet files with a column of encoded images and one of labels, as Hugging Face publishes data sets. */
import { Effect, Option, Schema, Semaphore } from "effect"
import type { Label } from "../../../domain/evaluation/Label.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import * as EncodedImages from "../reading/EncodedImages.ts"
import { ImageBroken, LabelsUnusable, UnknownSplit, within } from "../reading/ImagesError.ts"
import * as Labels from "./Labels.ts"
import * as ParquetFile from "./ParquetFile.ts"
import * as ParquetLabels from "./ParquetLabels.ts"
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

/** So many classes are named where lists of them differ. */
const NAMED = 8

/** What is read as the label where there is no file. */
const NO_SOURCE = { read: "nothing", missing: "nothing" }

/** A shard and its labels. `starts` ends with the number of its rows. */
interface Opened extends ParquetFile.ParquetFile {
  readonly shard: string
  readonly name: string
  /** Numbers are names by now where the file names them. */
  readonly labels: ReadonlyArray<Label>
  readonly names: ReadonlyArray<string> | undefined
  readonly source: Labels.Given["source"]
}

const Cell = Schema.NullOr(Schema.Union([
  Schema.Uint8Array,
  Schema.Struct({ bytes: Schema.NullOr(Schema.Uint8Array) })
]))

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

const sameNames = (some: ReadonlyArray<string>, others: ReadonlyArray<string>): boolean =>
  some.length === others.length && new Set([...some, ...others]).size === some.length

export const make = Effect.fnUntraced(function*(shards: Shards.Shards, options: Options) {
  const { fs, path } = yield* Files.make
  const makeSet = EncodedImages.make(options)
  const splits = Object.keys(shards)
  const { image = "image" } = options
  // Row groups may be large: they are read one at a time.
  const turns = yield* Semaphore.make(1)

  const open = Effect.fnUntraced(function*(shard: string) {
    const parquet = yield* ParquetFile.open(fs, shard, image)
    const name = path.basename(shard)
    const labels = yield* ParquetLabels.labelsOf(
      parquet,
      { image, label: options.label },
      (row) => `${name} row ${row}`
    )
    const opened: Opened = { ...parquet, ...labels, starts: [...parquet.starts, parquet.rows], shard, name }
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

  const load = Effect.fnUntraced(function*(split: string) {
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
        const { starts } = files[at]!
        return yield* ParquetFile.read(files[at]!, image, [starts[number]!, starts[number + 1]!])
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
        const cell = Schema.decodeUnknownOption(Cell)(rows[row - opened.starts[number]!])
        const bytes = Option.getOrNull(Option.map(cell, (value) => value instanceof Uint8Array ? value : value?.bytes))
        return bytes ?? (yield* new ImageBroken({ problem: `the column "${image}" holds no bytes here` }))
      })
    })
  })

  return { splits, load: yield* memoize(load) }
})
