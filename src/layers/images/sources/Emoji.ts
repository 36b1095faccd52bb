/** A data set of emoji from npm packages: the same things, drawn by six hands. */
import { Effect, Option, Schema } from "effect"
import { createHash } from "node:crypto"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import sharp from "sharp"
import type { Drawing } from "../../../domain/pixels/Scene.ts"
import * as Json from "../../../domain/values/Json.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import { Progress } from "../../run/Progress.ts"
import { GROUND } from "../reading/Decode.ts"
import { about, PackageDamaged, PackageMissing, UnknownSplit } from "../reading/ImagesError.ts"
import { memory } from "../reading/ImageSet.ts"
import { STYLES } from "./EmojiPackages.ts"

/** Options of the emoji: their labels, and the folder for their drawings. */
export interface Options {
  /**
   * Classes of the emoji; default `groups`. `groups` are the 8 groups of Unicode. `subgroups` are its subgroups with at
   * least 8 concepts, 57 classes; emoji of other subgroups are left out.
   */
  readonly labels?: "groups" | "subgroups"
  /**
   * Folder that keeps the drawn emoji between runs. Default: `.cache/patchword` in the `node_modules` folder of the emoji
   * packages. All runs of the project share it, and it is removed together with the packages.
   */
  readonly cache?: string
  /** Folders whose `node_modules` are searched, nearest first. Default: patchword's own folder and the working folder. */
  readonly from?: ReadonlyArray<string>
}

/** Version in the names of cached drawings. It is increased when the same packages are to give other pixels. */
const PROTOCOL = 1

const SIDE = 48

// Vector drawings are rasterised at four times the side, so the reduction is an exact mean of 16 pixels.
const DRAWN_SIDE = 192

const NOTO = STYLES.noto.package

type Style = keyof typeof STYLES

const TRAINED: ReadonlyArray<Style> = ["noto", "twemoji", "emojione", "noto-v1"]

/**
 * The emoji and the styles of each split. `once` is true if each concept is shown once per style, and not in all its
 * variants.
 */
const SPLITS: Readonly<
  Record<
    string,
    { readonly part: "train" | "val" | "test"; readonly styles: ReadonlyArray<Style>; readonly once: boolean }
  >
> = {
  train: { part: "train", styles: TRAINED, once: false },
  val: { part: "val", styles: TRAINED, once: false },
  "in-new": { part: "test", styles: TRAINED, once: true },
  "flat-new": { part: "test", styles: ["flat"], once: true },
  "3d-new": { part: "test", styles: ["3d"], once: true },
  "flat-seen": { part: "train", styles: ["flat"], once: true },
  "3d-seen": { part: "train", styles: ["3d"], once: true }
}

export const splits: ReadonlyArray<string> = Object.keys(SPLITS)

// Rows of code points, group, subgroup, concept and part.
const SplitFile = Json.text(Schema.Struct({
  rows: Schema.Array(
    Schema.Tuple([
      Schema.String,
      Schema.String,
      Schema.String,
      Schema.Int,
      Schema.Literals(["train", "val", "test"])
    ])
  )
}))

const Size = { width: Schema.optionalKey(Schema.Finite), height: Schema.optionalKey(Schema.Finite) }

const Icons = Json.text(Schema.Struct({
  ...Size,
  icons: Schema.Record(Schema.String, Schema.Struct({ body: Schema.String, ...Size })),
  aliases: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.Struct({ parent: Schema.String, hFlip: Schema.optionalKey(Schema.Boolean) }))
  )
}))

const Names = Json.text(Schema.Record(Schema.String, Schema.String))

const Manifest = Json.text(Schema.Struct({ version: Schema.String }))

/** Header of a cache file: the emoji of one style in order, and the SHA-256 of the pixels that follow. */
const Header = Json.text(Schema.Struct({ emoji: Schema.Array(Schema.String), sha256: Schema.String }))

/** The bytes of all emoji of one style, by code points. */
type Drawings = ReadonlyMap<string, Uint8Array>

/** An emoji of a split, drawn with alpha. */
export interface Drawn extends Drawing {
  readonly group: string
  readonly subgroup: string
  readonly concept: number
}

// The split file leaves out the variation selector and leading zeros.
const plain = (codePoints: string): string => codePoints.replaceAll("-fe0f", "").replaceAll(/(^|-)0+/g, "$1")

const byCodePoints = (names: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(names).map(([codePoints, name]) => [plain(codePoints), name]))

/**
 * Computes, for each of `length` pixels in a line, the first part that it overlaps, and its overlap with this part and the
 * next.
 */
const reaches = (length: number, side: number) => {
  const share = SIDE / side
  return Array.from({ length }, (_, at) => {
    const start = (at + (side - length) / 2) * share
    const part = Math.floor(start)
    return { part, first: Math.min(part + 1, start + share) - start, second: Math.max(0, start + share - part - 1) }
  })
}

/**
 * Computes, for each of 48 × 48 equal parts of a drawing, the sums of its colours and of its alpha, times 255: `[48, 48, 4]`. The
 * colours are multiplied by alpha, and `ground` is subtracted from them. `data` is RGBA, not premultiplied. A drawing that is not
 * square is centred.
 */
const reduce = (data: Uint8Array, width: number, height: number, ground: number): Float64Array => {
  const side = Math.max(width, height)
  const columns = reaches(width, side)
  // One more place than parts, because the last pixel overlaps a next part by 0.
  const line = new Float64Array((SIDE + 1) * 4)
  const sums = new Float64Array((SIDE + 1) * SIDE * 4)
  reaches(height, side).forEach(({ first, part, second }, y) => {
    line.fill(0)
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 4
      const alpha = data[from + 3]!
      if (alpha === 0) continue
      const column = columns[x]!
      for (let channel = 0; channel < 4; channel++) {
        const value = alpha * (channel === 3 ? 255 : data[from + channel]! - ground)
        line[column.part * 4 + channel]! += column.first * value
        line[column.part * 4 + 4 + channel]! += column.second * value
      }
    }
    const to = part * SIDE * 4
    for (let i = 0; i < SIDE * 4; i++) {
      sums[to + i]! += first * line[i]!
      sums[to + SIDE * 4 + i]! += second * line[i]!
    }
  })
  return sums
}

/** The form of drawings in memory and in their cache. */
interface Form {
  /** The extension of their files. */
  readonly name: string
  /** Bytes of a drawing. */
  readonly length: number
  readonly of: (data: Uint8Array, width: number, height: number) => Uint8Array
}

/** RGB on mid-grey. */
const OPAQUE: Form = {
  name: "pixels",
  length: SIDE * SIDE * 3,
  of: (data, width, height) => {
    const sums = reduce(data, width, height, GROUND)
    return Uint8Array.from(
      { length: SIDE * SIDE * 3 },
      (_, i) => Math.round(GROUND + sums[Math.floor(i / 3) * 4 + i % 3]! / 255)
    )
  }
}

/** RGBA, multiplied by alpha. */
const CLEAR: Form = {
  name: "rgba",
  length: SIDE * SIDE * 4,
  of: (data, width, height) => {
    const sums = reduce(data, width, height, 0)
    return Uint8Array.from({ length: SIDE * SIDE * 4 }, (_, i) => Math.round(sums[i]! / 255))
  }
}

export const make = Effect.fnUntraced(function*(options: Options) {
  const files = yield* Files.make
  const { fs, path } = files
  const require = createRequire(import.meta.url)
  const from = options.from ?? [path.dirname(fileURLToPath(import.meta.url)), process.cwd()]
  const splitText = yield* Effect.cached(
    fs.readFileString(fileURLToPath(new URL("../../../../assets/emoji-split.json", import.meta.url))).pipe(Effect.orDie)
  )
  const table = yield* Effect.cached(Effect.flatMap(splitText, Schema.decodeEffect(SplitFile)).pipe(Effect.orDie))

  /** Finds the folder of an installed package. */
  const folderOf = (name: string) =>
    Option.liftThrowable(() => path.dirname(require.resolve(`${name}/package.json`, { paths: [...from] })))()

  const check = Effect.fnUntraced(function*(styles: ReadonlyArray<Style>) {
    // Packages without names of emoji use those of Noto.
    const needed = (["noto", ...styles] satisfies ReadonlyArray<Style>).map((style) => STYLES[style])
    const isMissing = (style: { readonly package: string }) => Option.isNone(folderOf(style.package))
    if (!needed.some(isMissing)) return
    // The other splits need the other packages: one installation is enough for all.
    const missing = Object.values(STYLES).filter(isMissing)
    return yield* new PackageMissing({ packages: missing.map((style) => `${style.package}@${style.version}`) })
  })

  const read = Effect.fnUntraced(
    function*<A>(name: string, file: string, schema: Schema.Codec<A, string>) {
      const folder = yield* Effect.fromOption(folderOf(name))
      return yield* Effect.flatMap(fs.readFileString(path.join(folder, file)), Schema.decodeEffect(schema))
    },
    (self, name, file) =>
      Effect.mapError(self, (error) => new PackageDamaged({ package: name, problem: `${file}: ${error.message}` }))
  )

  const names = yield* Effect.cached(Effect.map(read(NOTO, "chars.json", Names), byCodePoints))

  /** Returns the input of sharp for each emoji of a style. */
  const sourcesOf = Effect.fnUntraced(function*(style: Style) {
    const { package: name } = STYLES[style]
    const { rows } = yield* table
    if (style === "3d") {
      const folder = path.join(Option.getOrThrow(folderOf(name)), "assets")
      const listed = yield* Effect.mapError(
        fs.readDirectory(folder),
        ({ message }) => new PackageDamaged({ package: name, problem: message })
      )
      const drawn = new Map(listed.map((file) => [plain(path.basename(file, ".webp")), path.join(folder, file)]))
      return rows.flatMap(([codePoints]) => {
        const file = drawn.get(codePoints)
        return file === undefined ? [] : [{ codePoints, source: file }]
      })
    }
    const { aliases = {}, height = 16, icons, width = 16 } = yield* read(name, "icons.json", Icons)
    const own = byCodePoints(yield* read(name, "chars.json", Names))
    const common = yield* names
    const named = rows.flatMap(([codePoints]) => {
      const found = own.get(codePoints) ?? common.get(codePoints)
      return found === undefined ? [] : [{ codePoints, name: found }]
    })
    // An emoji that uses the drawing of another one is not drawn twice.
    const taken = new Set(named.map((emoji) => emoji.name).filter((icon) => icon in icons))
    return named.flatMap(({ codePoints, name: icon }) => {
      const alias = icon in icons ? undefined : aliases[icon]
      if (alias !== undefined && taken.has(alias.parent)) return []
      const drawing = icons[alias?.parent ?? icon]
      if (drawing === undefined) return []
      if (alias !== undefined) taken.add(alias.parent)
      const w = drawing.width ?? width
      const h = drawing.height ?? height
      const body = alias?.hFlip === true
        ? `<g transform="translate(${w} 0) scale(-1 1)">${drawing.body}</g>`
        : drawing.body
      const source = Buffer.from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" " +
          `width="${DRAWN_SIDE}" height="${DRAWN_SIDE}" viewBox="0 0 ${w} ${h}">${body}</svg>`
      )
      return [{ codePoints, source }]
    })
  })

  const draw = Effect.fnUntraced(function*(style: Style, form: Form) {
    const { package: name } = STYLES[style]
    const sources = yield* sourcesOf(style)
    const progress = yield* Progress
    yield* progress.message(`drawing ${sources.length} emoji of ${name}, once`)
    const drawn = yield* Effect.forEach(sources, ({ codePoints, source }) =>
      Effect.tryPromise({
        try: () => sharp(source).ensureAlpha().raw().toBuffer({ resolveWithObject: true }),
        catch: (cause) => new PackageDamaged({ package: name, problem: `${codePoints}: ${String(cause)}` })
      }).pipe(
        Effect.map(({ data, info }) => [codePoints, form.of(data, info.width, info.height)] as const)
      ), { concurrency: 8 })
    return new Map(drawn)
  })

  const encode = (drawings: Drawings): ReadonlyArray<Uint8Array> => {
    const pixels = [...drawings.values()]
    const hash = createHash("sha256")
    for (const data of pixels) hash.update(data)
    const header = Schema.encodeSync(Header)({ emoji: [...drawings.keys()], sha256: hash.digest("hex") })
    return [Buffer.from(`${header}\n`), ...pixels]
  }

  const decode = Effect.fnUntraced(function*(bytes: Uint8Array, { length }: Form) {
    const end = bytes.indexOf(10)
    const header = yield* Schema.decodeEffect(Header)(new TextDecoder().decode(bytes.subarray(0, end)))
    const pixels = bytes.subarray(end + 1)
    if (pixels.length !== length * header.emoji.length || Files.sha256(pixels) !== header.sha256) {
      return yield* Effect.fail("damaged")
    }
    return new Map(header.emoji.map((codePoints, i) => [
      codePoints,
      pixels.subarray(i * length, (i + 1) * length)
    ]))
  })

  /** Returns the emoji of a style, from the cache if it holds them undamaged. */
  const drawingsIn = (form: Form) =>
    memoize(Effect.fnUntraced(function*(style: string) {
      const known = style as Style
      const { package: name } = STYLES[known]
      const { version } = yield* read(name, "package.json", Manifest)
      const folder = Option.getOrThrow(folderOf(name))
      const directory = options.cache ?? path.join(folder, "..", "..", ".cache", "patchword")
      // Other rasterisers draw other pixels.
      const recipe = Files.sha256(JSON.stringify([PROTOCOL, yield* splitText, sharp.versions]))
      const file = path.join(directory, `emoji-${style}-${version}-${recipe.slice(0, 16)}.${form.name}`)
      return yield* Effect.flatMap(fs.readFile(file), (bytes) => decode(bytes, form)).pipe(
        Effect.catch(() =>
          Effect.tap(draw(known, form), (drawn) =>
            files.write(file, encode(drawn)).pipe(
              Effect.catch(({ message }) => Effect.logWarning(`emoji are drawn again in every run: ${message}`))
            ))
        )
      )
    }))

  const drawings = yield* drawingsIn(OPAQUE)
  const clear = yield* drawingsIn(CLEAR)

  const wantedOf = Effect.fnUntraced(function*(split: string) {
    const wanted = Object.hasOwn(SPLITS, split) ? SPLITS[split] : undefined
    if (wanted === undefined) return yield* new UnknownSplit({ split, splits })
    yield* check(wanted.styles)
    return wanted
  })

  /** Returns all drawings of a split with alpha, also the variants of a concept. */
  const drawn = Effect.fnUntraced(function*(split: string) {
    const { part: wanted, styles } = yield* wantedOf(split)
    const { rows } = yield* table
    const all = yield* Effect.forEach(styles, (style) => clear(style))
    return all.flatMap((drawn) =>
      rows.flatMap(([codePoints, group, subgroup, concept, part]): ReadonlyArray<Drawn> => {
        const data = drawn.get(codePoints)
        return data === undefined || part !== wanted ? [] : [{ side: SIDE, data, group, subgroup, concept }]
      })
    )
  }, about("emoji"))

  const load = Effect.fnUntraced(function*(split: string) {
    const wanted = yield* wantedOf(split)
    const { rows } = yield* table
    const column = options.labels === "subgroups" ? 2 : 1
    const concepts = Map.groupBy(rows, (row) => row[column])
    const classes = [...concepts].filter(([, members]) =>
      options.labels !== "subgroups" || new Set(members.map((row) => row[3])).size >= 8
    ).map(([name]) => name)
    const common = yield* names

    const drawn = yield* Effect.forEach(wanted.styles, (style) => drawings(style), { concurrency: "unbounded" })
    const shown = wanted.styles.flatMap((style, i) => {
      const seen = new Set<number>()
      return rows.flatMap((row) => {
        const [codePoints, , , concept, part] = row
        const data = drawn[i]?.get(codePoints)
        const label = classes.indexOf(row[column])
        if (part !== wanted.part || data === undefined || label === -1) return []
        if (wanted.once && seen.has(concept)) return []
        seen.add(concept)
        return [{
          picture: { width: SIDE, height: SIDE, data },
          label,
          name: `${common.get(codePoints) ?? codePoints} (${style})`
        }]
      })
    })
    const set = memory(
      split,
      classes,
      shown.map(({ picture }) => picture),
      shown.map(({ label }) => label),
      (index) => shown[index]?.name ?? ""
    )
    return { ...set, labelSource: `the ${options.labels ?? "groups"} of the emoji` }
  }, about("emoji"))

  return { splits, load: yield* memoize(load), drawn }
})
