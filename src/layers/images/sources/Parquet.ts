/** Parquet files with a column of encoded images and a column of labels, as Hugging Face publishes data sets. */
import { Effect, Option, Schema, Semaphore } from "effect"
import type { Label } from "../../../domain/evaluation/Label.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import * as EncodedImages from "../reading/EncodedImages.ts"
import { about, ImageBroken, LabelsUnusable, UnknownSplit, within } from "../reading/ImagesError.ts"
import * as Labels from "./Labels.ts"
import * as ParquetFile from "./ParquetFile.ts"
import * as ParquetLabels from "./ParquetLabels.ts"
import * as Shards from "./Shards.ts"

/** Options of Parquet files. */
export interface Options extends EncodedImages.Options {
  /** Name of the column of images; default `image`. */
  readonly image?: string
  /**
   * Name of the column of labels; `false` for no labels. Default `label`, if this column exists and no other could serve as
   * label.
   */
  readonly label?: string | false
  /** Names of the classes, in order of their numbers. Default: the names in the file, else those in the labels. */
  readonly classes?: ReadonlyArray<string>
}

/** Memory for encoded images that are kept, in bytes. At least the result of one read is kept. */
const KEPT_BYTES = 256 * 2 ** 20

/** Number of classes that a message lists for files whose lists of classes differ. */
const NAMED = 8

/** Source of the labels of a split without files. */
const NO_SOURCE = { read: "nothing", missing: "nothing" }

/** An open shard with its labels. The last of `starts` is the number of its rows. */
interface Opened extends ParquetFile.ParquetFile {
  readonly shard: string
  readonly name: string
  /** The labels. Numbers are replaced by names if the file names its classes. */
  readonly labels: ReadonlyArray<Label>
  readonly names: ReadonlyArray<string> | undefined
  readonly source: Labels.Given["source"]
}

const Cell = Schema.NullOr(Schema.Union([
  Schema.Uint8Array,
  Schema.Struct({ bytes: Schema.NullOr(Schema.Uint8Array) })
]))

/** Returns the index of the last of `starts`, in ascending order, that is at most `at`. */
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

  /**
   * Returns the names that the files of a split give to their class numbers. Fails with `LabelsUnusable` if they disagree.
   */
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
      problem: `${first.shard} and ${odd.shard} have different names of classes (${list(first)}; ${list(odd)}), ` +
        "so the same number means different classes",
      remedy: "write both with one list of names"
    })
  })

  // Labels have the same meaning in every split, even if a split lacks a class.
  const everyLabel = yield* Effect.cached(
    Effect.map(
      Effect.forEach(splits, filesOf),
      (all) => new Set(all.flat().flatMap(({ labels }) => [...new Set(labels)]))
    )
  )

  const load = Effect.fnUntraced(function*(split: string) {
    if (!splits.includes(split)) return yield* about("images")(new UnknownSplit({ split, splits }))
    const files = yield* filesOf(split)
    const names = yield* about(split)(joined(files))
    const every = files.flatMap(({ labels }) => labels)
    // Classes in the options that the files do not have are new names for the numbers.
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
    const { classes, labelSource, labels } = yield* about(split)(Labels.number({
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
