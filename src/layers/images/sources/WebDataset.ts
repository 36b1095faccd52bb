/** WebDataset: tar shards of samples. The files of a sample have the same name with different extensions. */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Option, Result, Schema, Stream } from "effect"
import { createGunzip } from "node:zlib"
import * as Label from "../../../domain/evaluation/Label.ts"
import * as Json from "../../../domain/values/Json.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import { EXTENSIONS } from "../reading/Decode.ts"
import * as EncodedImages from "../reading/EncodedImages.ts"
import { about, FileDamaged, FileTruncated, LabelsUnusable, UnknownSplit, within } from "../reading/ImagesError.ts"
import type { LeftOut } from "../reading/LeftOut.ts"
import * as Labels from "./Labels.ts"
import * as Scan from "./Scan.ts"
import * as Shards from "./Shards.ts"
import { damaged, type Member, members, TEXTS } from "./TarShard.ts"

/** Options of WebDataset shards. */
export interface Options extends EncodedImages.Options {
  /** Names of the classes, in order of their numbers. Default: those in the labels of all splits. */
  readonly classes?: ReadonlyArray<string>
  /** Name of the label field in a sample's `.json`; `false` for no labels. Default: the `.cls`, else the field `label`. */
  readonly label?: string | false
  /**
   * Folder that keeps the lists of samples, and unpacked shards, between runs. Default: a folder `.patchword` next to each
   * shard.
   */
  readonly cache?: string
}

/** A label in a stored list. An integer is stored as a list with its digits, so that a text of digits stays a text. */
const Kept = Schema.NullOr(Schema.Union([Schema.String, Schema.Tuple([Schema.BigIntFromString])]))

/**
 * The samples of a shard in columns, and names of fields in their `.json`. If the label field exists but never holds a
 * label, `fields` has its name. If it does not exist, `fields` has the names of fields that could serve as label.
 */
const Index = Json.text(
  Schema.Struct({
    names: Schema.Array(Schema.NonEmptyString),
    offsets: Schema.Array(Schema.Natural),
    sizes: Schema.Array(Schema.Natural),
    labels: Schema.Array(Kept),
    fields: Schema.Array(Schema.String),
    /** Extensions of samples without an image, with their numbers. */
    others: Schema.Array(Schema.Tuple([Schema.String, Schema.Natural]))
  }).check(
    Schema.makeFilter(({ labels, names, offsets, sizes }) =>
      [labels, offsets, sizes].every(({ length }) => length === names.length) || "expected columns of one length"
    )
  )
)

interface Sample {
  readonly shard: string
  readonly tar: string
  readonly name: string
  readonly offset: number
  readonly size: number
  readonly label: Label.Label
}

const TAR = "shard.tar"

/**
 * Greatest size of an unpacked shard, in bytes. Encoded images hardly shrink in gzip, so what grows a hundred times holds none, and
 * would fill the disk.
 */
const largest = (packed: number): number => 2 ** 26 + 100 * packed

const isImage = ({ ending }: Member): boolean => EXTENSIONS.includes(ending)

const isDotted = ({ ending }: Member): boolean => EXTENSIONS.includes(ending.slice(ending.lastIndexOf(".") + 1))

/** Adds up the kinds of all shards. */
const leftOutOf = (all: ReadonlyArray<readonly [kind: string, count: number]>): ReadonlyArray<LeftOut> => {
  const others = Scan.counts()
  for (const [kind, count] of all) others.add(kind, count)
  return Array.from(others.found, ([kind, count]) => ({ kind, count }))
}

/** Returns the only file of a list, or undefined if it is empty. Fails with `FileDamaged` if there are more. */
const only = (files: ReadonlyArray<Member>): Result.Result<Member | undefined, FileDamaged> => {
  const [first, second] = files
  if (first === undefined || second === undefined) return Result.succeed(first)
  const problem =
    `${first.name} and ${second.name} belong to one sample, ${first.key}, which can have only one of them; ` +
    "give each sample its own key"
  return Result.fail(new FileDamaged({ problem }))
}

export const make = Effect.fnUntraced(function*(shards: Shards.Shards, options: Options) {
  const files = yield* Files.make
  const { fs, path } = files
  const makeSet = EncodedImages.make(options)
  const splits = Object.keys(shards)
  const field = options.label === false ? undefined : options.label ?? "label"

  /** Reads the fields of the object in a sample's `.json`. */
  const fieldsOf = ({ name, text }: Member) =>
    Json.parse(text, { integers: "exact" }).pipe(
      Result.filterOrFail(
        (value): value is object => typeof value === "object" && value !== null && !Array.isArray(value),
        () => ({ problem: "expected an object" })
      ),
      Result.map((value) => new Map<string, unknown>(Object.entries(value))),
      Result.mapError(({ problem }) => new FileDamaged({ problem: `${name}: ${problem}` }))
    )

  /** Reads the label of a sample, and the names of fields that could hold it. */
  const labelOf = Effect.fnUntraced(function*(files: ReadonlyArray<Member>) {
    const [cls, json] = yield* Effect.forEach(
      TEXTS,
      (text) => Effect.fromResult(only(files.filter(({ ending }) => ending === text)))
    )
    const none: ReadonlyArray<string> = []
    if (field === undefined) return { label: undefined, fields: none }
    if (cls !== undefined && options.label === undefined) {
      const [label] = yield* Labels.readAll([cls.text], Label.parse, () => cls.name)
      return { label, fields: none }
    }
    if (json === undefined) return { label: undefined, fields: none }
    const said = yield* Effect.fromResult(fieldsOf(json))
    const [label] = yield* Labels.readAll([said.get(field)], Label.of, () => `the field "${field}" of ${json.name}`)
    if (label !== undefined) return { label, fields: none }
    return { label, fields: said.has(field) ? [field] : Label.candidates([...said.keys()]) }
  })

  const scan = Effect.fnUntraced(function*(tar: string, length: number) {
    const found = yield* members(tar, length)
    // The files of a sample are usually adjacent, but need not be.
    const samples = Map.groupBy(found, ({ key }) => key)
    const names: Array<string> = []
    const offsets: Array<number> = []
    const sizes: Array<number> = []
    const labels: Array<typeof Kept.Type> = []
    const candidates = new Set<string>()
    const others = Scan.counts()
    for (const [key, files] of samples) {
      const image = yield* Effect.fromResult(only(files.filter(isImage)))
      const dotted = files.find(isDotted)
      if (image === undefined && dotted !== undefined) {
        const problem =
          `${dotted.name} belongs to the sample ${key}, because a key ends at the first dot, but is not ` +
          "its image; keep only one dot in the name"
        return yield* new FileDamaged({ problem })
      }
      if (image === undefined) {
        const parts = files.filter(({ ending }) => !TEXTS.includes(ending))
        for (const { ending } of parts.length === 0 ? files : parts) others.add(ending)
        continue
      }
      const { fields, label } = yield* labelOf(files)
      names.push(`${key}.${image.ending}`)
      offsets.push(image.offset)
      sizes.push(image.size)
      labels.push(label === undefined ? null : typeof label === "bigint" ? [label] : label)
      for (const name of fields) candidates.add(name)
    }
    const index: typeof Index.Type = {
      names,
      offsets,
      sizes,
      labels,
      fields: [...candidates],
      others: [...others.found]
    }
    return index
  })

  const isGzip = (file: string) =>
    Effect.scoped(Effect.flatMap(fs.open(file), (handle) => handle.readAlloc(2))).pipe(
      Effect.map(Option.exists((magic) => magic[0] === 0x1f && magic[1] === 0x8b))
    )

  const unpack = (file: string, packed: number, folder: string) =>
    files.writeFolder(folder, (temporary) => {
      const most = largest(packed)
      let size = 0
      const problem = `it has ${packed} bytes, and more than ${most} when it is unpacked`
      return fs.stream(file).pipe(
        NodeStream.pipeThroughDuplex({ evaluate: () => createGunzip(), onError: damaged, chunkSize: 64 }),
        Stream.tap((part) => (size += part.length) > most ? Effect.fail(new FileDamaged({ problem })) : Effect.void),
        Stream.run(fs.sink(path.join(temporary, TAR))),
        Files.onFailure(folder)
      )
    })

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

  /** Removes cached lists of an earlier version of a shard. */
  const removeOthers = Effect.fnUntraced(function*(cache: string, name: string, folder: string) {
    for (const entry of yield* fs.readDirectory(cache)) {
      const other = path.join(cache, entry)
      if (entry.startsWith(name) && other !== folder) yield* files.removeFolder(other)
    }
  })

  /** Opens a shard and lists its samples, from the list of an earlier run if there is one. */
  const open = Effect.fnUntraced(function*(shard: string) {
    const { size: packedSize } = yield* Shards.stat(fs, shard)
    const cache = options.cache ?? path.join(path.dirname(shard), ".patchword")
    const name = `${path.basename(shard)}-${Files.sha256(path.resolve(shard)).slice(0, 8)}-`
    const folder = path.join(cache, `${name}${Files.sha256(yield* Files.version(shard)).slice(0, 16)}`)
    const packed = yield* Files.onFailure(shard)(isGzip(shard))
    const tar = packed ? path.join(folder, TAR) : shard
    if (packed && !(yield* Files.onFailure(tar)(fs.exists(tar)))) yield* unpack(shard, Number(packedSize), folder)
    const { size: length } = yield* Files.onFailure(tar)(fs.stat(tar))
    const isWithin = ({ offsets, sizes }: typeof Index.Type) =>
      offsets.every((offset, at) => offset + sizes[at]! <= Number(length))
    // Another field gives other labels.
    const file = path.join(folder, `samples-${Files.sha256(JSON.stringify(options.label ?? null)).slice(0, 8)}.json`)
    const index = yield* Effect.flatMap(files.readText(file), Schema.decodeEffect(Index)).pipe(
      Effect.filterOrFail(isWithin),
      Effect.catch(() =>
        scan(tar, Number(length)).pipe(
          Effect.tap((made) =>
            Effect.flatMap(Schema.encodeEffect(Index)(made), (text) => files.write(file, text)).pipe(
              Effect.catch(({ message }) => Effect.logWarning(`shards are listed again in every run: ${message}`))
            )
          ),
          Effect.tap(() => Effect.ignore(removeOthers(cache, name, folder)))
        )
      )
    )
    const samples = index.names.map((name, i): Sample => {
      const label = index.labels[i] ?? undefined
      return {
        shard: path.basename(shard),
        tar,
        name,
        offset: index.offsets[i]!,
        size: index.sizes[i]!,
        label: typeof label === "object" ? label[0] : label
      }
    })
    return { samples, fields: index.fields, others: index.others }
  }, (self, shard) => within(shard)(self))

  const opened = yield* memoize((split: string) =>
    Effect.map(Shards.forEach(`list ${split}`, shards[split] ?? [], open), (all) => ({
      samples: all.flatMap(({ samples }) => samples),
      leftOut: leftOutOf(all.flatMap(({ others }) => others)),
      fields: new Set(all.flatMap(({ fields }) => fields))
    }))
  )

  // Labels have the same meaning in every split, even if a split lacks a class.
  const everyLabel = yield* Effect.cached(
    Effect.map(
      Effect.forEach(splits, opened),
      (all) => new Set(all.flatMap(({ samples }) => samples.map(({ label }) => label)))
    )
  )

  const source = {
    read: options.label === undefined
      ? `the .cls of each sample, or the field "label" of its .json`
      : `the field "${field}" of each sample's .json`,
    missing: field === undefined
      ? "nothing, as asked"
      : `nothing: no sample has a .cls, or a field "${field}" in its .json`
  }

  const load = Effect.fnUntraced(function*(split: string) {
    if (!splits.includes(split)) return yield* about("images")(new UnknownSplit({ split, splits }))
    const { fields, leftOut, samples } = yield* opened(split)
    const unlabelled = samples.length > 0 && samples.every(({ label }) => label === undefined)
    const isNull = field !== undefined && fields.has(field)
    if (unlabelled && !isNull && (typeof options.label === "string" || fields.size > 0)) {
      const meant = fields.size === 0 ? "" : `, but ${[...fields].join(", ")} could be the label`
      return yield* about(split)(
        new LabelsUnusable({
          problem: `no sample has a field "${field}" in a .json${meant}`,
          remedy: "name another one by --label-column, or none by --label-column none"
        })
      )
    }
    const describe = (index: number) => `${samples[index]?.shard ?? ""}/${samples[index]?.name ?? ""}`
    const known = options.classes
    const { classes, labelSource, labels } = yield* about(split)(Labels.number({
      labels: samples.map(({ label }) => label),
      describe,
      known: known === undefined ? undefined : { keys: known, classes: known },
      every: known === undefined ? yield* everyLabel : [],
      source: isNull ? { ...source, missing: `nothing: the field "${field}" of each .json is empty` } : source
    }))
    return yield* makeSet({
      split,
      empty: Shards.empty(split, leftOut),
      classes,
      labels,
      labelSource,
      leftOut,
      describe,
      origin: describe,
      size: (index) => samples[index]?.size ?? 0,
      bytes: (index) => {
        const { offset, size, tar } = samples[index]!
        return readRange(tar, offset, size)
      }
    })
  })

  return { splits, load: yield* memoize(load) }
})
