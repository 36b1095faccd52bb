/** Readers of images and of collections of images. */
import { Effect, type Layer, Result } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import * as Print from "../../../src/cli/terminal/Print.ts"
import * as Images from "../../../src/layers/images/Images.ts"
import * as Decode from "../../../src/layers/images/reading/Decode.ts"
import type { ImagesError } from "../../../src/layers/images/reading/ImagesError.ts"
import type { Content, Files, Reader } from "../Case.ts"
import type { Draw } from "../Draw.ts"
import * as Hostile from "../Hostile.ts"
import * as Mutation from "../Mutation.ts"
import * as Seeds from "./seeds.ts"

/** Loads a split, and decodes all of its images. */
const every = (layer: Layer.Layer<Images.Images, ImagesError>, split = "train") =>
  Effect.gen(function*() {
    const images = yield* Images.Images
    const set = yield* images.load(split)
    yield* Effect.forEach(set.labels.keys(), set.image)
    const text = [...Print.remarks(set), Print.columns([[set.labelSource ?? "", set.describe(0)]])].join("\n")
    const wrong = set.classes.length === 0 || [...set.labels].some((label) => !(label < set.classes.length))
    return { text, ...(wrong && set.labels.some((label) => label >= 0) ? { wrong: "a label has no class" } : {}) }
  }).pipe(Effect.provide(layer, { local: true }))

const options = { memory: 0 } as const

interface Entry {
  readonly name: string
  /** The letter of its kind: 0 for a file, 1 and 2 for links, 5 for a folder. */
  readonly kind?: string
  readonly content?: Content
  /** What the header claims, in octal digits or as it is. */
  readonly size?: string
}

const BLOCK = 512

const headerOf = ({ content = "", kind = "0", name, size }: Entry): Buffer => {
  const header = Buffer.alloc(BLOCK)
  header.write(name, 0, 100)
  header.write("0000644\0", 100)
  header.write(size ?? (Seeds.bytesOf(content)?.length ?? 0).toString(8).padStart(11, "0"), 124, 12)
  header.write("00000000000", 136)
  header.write(kind, 156, 1)
  if (kind === "1" || kind === "2") header.write("../outside/secret.json", 157)
  header.write("ustar\x0000", 257, "latin1")
  return header
}

const packed = (entries: ReadonlyArray<Entry>): Uint8Array =>
  checksums(Buffer.concat([
    ...entries.flatMap((entry) => {
      const body = Seeds.bytesOf(entry.content) ?? Buffer.of()
      return [headerOf(entry), body, Buffer.alloc((BLOCK - body.length % BLOCK) % BLOCK)]
    }),
    Buffer.alloc(2 * BLOCK)
  ]))

/** Repairs the checksums of the headers of a tar. */
const checksums = (given: Uint8Array): Uint8Array => {
  const bytes = Buffer.from(given)
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.toString("latin1", at + 257, at + 262) !== "ustar") continue
    bytes.write("        ", at + 148, "latin1")
    const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0)
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1")
  }
  return bytes
}

const KINDS = ["1", "2", "3", "5", "6", "7", "L", "K", "x", "g", "S", "\0", "Z"]
const CLAIMS = [
  "00000000000",
  "77777777777",
  "-0000000001",
  "00000001000",
  "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
  "abc",
  "        1"
]

const tarMade = async (draw: Draw): Promise<Files> => {
  const image = await Seeds.png(4)
  const key = () => draw.chance(0.6) ? draw.of(["a/1", "a/2", "b.c/3", "1", ""]) : Hostile.name(draw)
  const entries = Array.from({ length: 1 + draw.below(5) }, (): Entry => {
    const ending = draw.of(["png", "cls", "json", "txt", "png.png", "PNG", "seg.png", ""])
    const text = draw.of(["0", "1\n", "-1", "{\"label\":1}", "18446744073709551616", "", Hostile.json(draw)])
    return {
      name: `${key()}.${ending}`,
      kind: draw.chance(0.8) ? "0" : draw.of(KINDS),
      content: ending.endsWith("png") ? image : text,
      ...(draw.chance(0.1) ? { size: draw.of(CLAIMS) } : {})
    }
  })
  const made = packed(entries)
  const bytes = draw.chance(0.3) ? checksums(Mutation.bytes(draw, made)) : made
  return { "train.tar": draw.chance(0.1) ? gzipSync(bytes) : bytes }
}

export const tar: Reader = {
  name: "tar",
  tests: 80,
  seeds: async () => {
    const image = await Seeds.png()
    const members = ["a", "b"].flatMap((key): ReadonlyArray<Entry> => [
      { name: `${key}.png`, content: image },
      { name: `${key}.json`, content: "{\"label\":7}" }
    ])
    const shard = packed(members)
    return [
      { "train.tar": shard },
      { "train.tar": gzipSync(shard) },
      { "train.tar": packed([{ name: "a.png", content: image }, { name: "a.cls", content: "1\n" }]) }
    ]
  },
  make: tarMade,
  seal: (files) => {
    const held = Seeds.bytesOf(files["train.tar"])
    return held === undefined ? files : { ...files, "train.tar": checksums(held) }
  },
  read: (folder) => every(Images.layerWebDataset({ train: `${folder}/train.tar` }, options))
}

const fixture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../layers/images/fixtures/${name}`, import.meta.url)))

export const parquet: Reader = {
  name: "parquet",
  tests: 80,
  seeds: async () => [
    { "train.parquet": fixture("snappy.parquet") },
    { "train.parquet": fixture("zstd.parquet") },
    { "train.parquet": fixture("lz4.parquet") }
  ],
  make: (draw, seeds) => {
    const bytes = Buffer.from(Seeds.bytesOf(draw.of(seeds)["train.parquet"])!)
    const footer = bytes.readUInt32LE(bytes.length - 8)
    for (let i = 0, times = 1 + draw.below(4); i < times; i++) {
      const at = bytes.length - 8 - footer + draw.below(footer)
      bytes[at] = draw.chance(0.5) ? draw.below(256) : draw.of([0, 1, 0x7f, 0x80, 0xff, bytes[at]! ^ 1])
    }
    return { "train.parquet": bytes }
  },
  read: (folder) => {
    const file = `${folder}/train.parquet`
    const named = { ...options, image: "picture", label: "animal" }
    return every(Images.layerParquet({ train: file }, options)).pipe(
      Effect.catch(() => every(Images.layerParquet({ train: file }, named)))
    )
  }
}

const record = (label: number) => Uint8Array.from([label, ...Array.from({ length: 3072 }, (_, i) => i % 256)])

export const cifar: Reader = {
  name: "cifar",
  tests: 100,
  seeds: async () => [
    {
      "batches.meta.txt": "ape\nbee\n",
      ...Object.fromEntries([1, 2, 3, 4, 5].map((part) => [`data_batch_${part}.bin`, record(part % 2)])),
      "test_batch.bin": record(1)
    },
    {
      "fine_label_names.txt": "ape\nbee\n",
      "train.bin": Buffer.concat([Buffer.of(0), record(1)]),
      "test.bin": Buffer.concat([Buffer.of(0), record(0)])
    }
  ],
  read: (folder) => every(Images.layerCifar(folder))
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

/** A PNG that claims to be of any size, and has no pixels. */
const bomb = (width: number, height: number): Buffer => {
  const ihdr = Buffer.concat([Buffer.from("IHDR"), uint32(width), uint32(height), Buffer.of(8, 2, 0, 0, 0)])
  const crc = (bytes: Uint8Array): number => {
    let value = -1
    for (const byte of bytes) {
      value ^= byte
      for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0)
    }
    return ~value
  }
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    uint32(13),
    ihdr,
    uint32(crc(ihdr)),
    uint32(0),
    Buffer.from("IEND"),
    uint32(crc(Buffer.from("IEND")))
  ])
}

const SIDES = [0, 1, 8, 9999, 10_001, 65_535, 2 ** 31 - 1, 2 ** 32 - 1]

const svg = (draw: Draw): string => {
  const inner = draw.of([
    "<rect width='4' height='4' fill='red'/>",
    "<image href='../outside/secret.json'/>",
    "<image href='file:///etc/passwd' width='4' height='4'/>",
    "<g>".repeat(5000),
    "<use href='#a'/><g id='a'><use href='#a'/></g>"
  ])
  const entity = draw.chance(0.3)
    ? "<!DOCTYPE svg [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
    : ""
  return `${entity}<svg xmlns='http://www.w3.org/2000/svg' width='${draw.of([4, 0, -1, 1e6, "NaN", "100%"])}' height='${
    draw.of([4, 1e6, 3])
  }'>${inner}</svg>`
}

const bounds = { pixelLimit: 1e6, minimumSide: 1 } as const

export const images: Reader = {
  name: "images",
  tests: 60,
  seeds: async () => {
    const picture = Seeds.picture()
    const all = await Promise.all([
      picture.clone().png().toBuffer(),
      picture.clone().png({ palette: true }).toBuffer(),
      picture.clone().jpeg().toBuffer(),
      picture.clone().webp().toBuffer(),
      picture.clone().gif().toBuffer(),
      picture.clone().tiff().toBuffer(),
      picture.clone().tiff({ compression: "lzw" }).toBuffer(),
      picture.clone().avif({ effort: 0 }).toBuffer(),
      Promise.resolve(
        Buffer.from("<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'><rect width='4' height='4'/></svg>")
      )
    ])
    return all.map((bytes) => ({ image: bytes }))
  },
  make: (draw) => ({ image: draw.chance(0.5) ? bomb(draw.of(SIDES), draw.of(SIDES)) : svg(draw) }),
  read: (folder) =>
    Effect.gen(function*() {
      const bytes = yield* Effect.try({ try: () => readFileSync(`${folder}/image`), catch: () => "none" }).pipe(
        Effect.option
      )
      if (bytes._tag === "None") return {}
      const decoded = yield* Effect.forEach(
        ["managed", "official"] as const,
        (colour) => Effect.result(Decode.decode(bytes.value, { ...bounds, colour }))
      )
      yield* Effect.ignore(Decode.decode(bytes.value, { ...bounds, colour: "managed", shrinkTo: 4 }))
      for (const one of decoded) if (Result.isFailure(one)) return yield* Effect.fail(one.failure)
      return {}
    })
}

export const folder: Reader = {
  name: "folder",
  tests: 40,
  seeds: async () => {
    const image = await Seeds.png()
    return [{ "train/cat/1.png": image, "train/dog/2.png": image, "val/cat/3.png": image }, {
      "cat/1.png": image,
      "dog/1.png": image
    }]
  },
  make: async (draw) => {
    const image = await Seeds.png()
    const part = () =>
      draw.chance(0.5)
        ? draw.of(["train", "val", "cat", "dog"])
        : Hostile.name(draw).replaceAll("\u0000", "").replaceAll(/^(?:\.\.?|.*\.\..*|\/.*)$/g, "x")
    return Object.fromEntries(Array.from({ length: 1 + draw.below(5) }, (_, i) => {
      const content: Content = draw.chance(0.85)
        ? image
        : { link: draw.of(["../../outside", "..", ".", "nowhere", "/dev/zero", "../../outside/secret.json"]) }
      return [`${part()}/${part()}/${i}.png`, content] as const
    }))
  },
  read: (folder) => every(Images.layerFolder(folder, options))
}

const manifestOf = (value: unknown): Files => ({ "images.json": JSON.stringify(value) })

export const manifest: Reader = {
  name: "manifest",
  tests: 100,
  seeds: async () => {
    const image = await Seeds.png()
    const pictures = { "photos/cat/1.png": image, "photos/dog/2.png": image, "marks/cat/1.png": image }
    return [
      { ...pictures, ...manifestOf({ root: ".", classes: ["cat", "dog"], splits: { train: { folder: "photos" } } }) },
      {
        ...pictures,
        "list.txt": "cat/1.png 0\ndog/2.png 1\n",
        "synsets.txt": "n1 cat\nn2 dog\n",
        ...manifestOf({ synsets: "synsets.txt", splits: { train: { folder: "photos", list: "list.txt" } } })
      },
      {
        ...pictures,
        ...manifestOf({
          pixelClasses: ["a", "b"],
          reduceZeroLabel: true,
          splits: { train: { folder: "photos", annotations: "marks" } }
        })
      }
    ]
  },
  make: (draw, seeds) => {
    const held = draw.of(seeds)
    if (draw.chance(0.3)) {
      const lines = Array.from(
        { length: 1 + draw.below(3) },
        () =>
          `${draw.chance(0.5) ? "cat/1.png" : Hostile.name(draw)} ${
            draw.of(["0", "1", "-1", "1e3", "9007199254740993", ""])
          }`
      )
      return {
        ...held,
        "list.txt": lines.join("\n"),
        ...manifestOf({ classes: ["cat", "dog"], splits: { train: { folder: "photos", list: "list.txt" } } })
      }
    }
    return { ...held, "images.json": Mutation.json(draw, Seeds.textOf(held["images.json"])!) }
  },
  read: (folder) => every(Images.layerManifest(`${folder}/images.json`, options))
}
