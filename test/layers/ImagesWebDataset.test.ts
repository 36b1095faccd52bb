import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { gunzipSync, gzipSync } from "node:zlib"
import * as Tar from "tar-stream"
import { Images, type WebDatasetOptions } from "../../src/layers/Images.ts"
import { expand } from "../../src/layers/internal/shards.ts"
import {
  behaves,
  CLASSES,
  type Content,
  encoded,
  load,
  refused,
  type Sample,
  samples,
  withFolder
} from "./ImagesContract.ts"

const tar = async (members: ReadonlyArray<readonly [name: string, content: Content]>): Promise<Buffer> => {
  const pack = Tar.pack()
  for (const [name, content] of members) pack.entry({ name }, Buffer.from(content))
  pack.finalize()
  const chunks: Array<Uint8Array> = []
  for await (const chunk of pack) if (chunk instanceof Uint8Array) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const members = async (
  all: ReadonlyArray<Sample>,
  start: number,
  label: (sample: Sample) => readonly [string, string]
) =>
  (await Promise.all(all.map(async (sample, i) => {
    const [ending, text] = label(sample)
    const key = `a/${String(start + i).padStart(3, "0")}`
    return [[`${key}.${ending}`, text], [`${key}.png`, await encoded(sample.picture)]] as const
  }))).flat()

const numbered = ({ label }: Sample) => ["cls", `${label}\n`] as const
const named = ({ label }: Sample) => ["json", JSON.stringify({ id: 7, animal: CLASSES[label] })] as const

const shard = async (all: ReadonlyArray<Sample>, start = 0, label: typeof numbered | typeof named = numbered) =>
  tar(await members(all, start, label))

const pair = async (all: ReadonlyArray<Sample>) => ({
  "train-00.tar": await shard(all.slice(0, 4)),
  "train-01.tar": await shard(all.slice(4), 4)
})

const open = (options?: WebDatasetOptions) => (folder: string) =>
  Images.layerWebDataset({ train: `${folder}/train-{00..01}.tar` }, options)

behaves("WebDataset", { side: 8, files: pair, layer: open({ classes: CLASSES }) })

behaves("WebDataset with numbers alone", { side: 8, classes: ["0", "1", "2"], files: pair, layer: open() })

behaves("WebDataset in gzip", {
  side: 8,
  files: async (all) => ({ "train.tar.gz": gzipSync(await shard(all)) }),
  layer: (folder) =>
    Images.layerWebDataset({ train: `${folder}/train.tar.gz` }, { classes: CLASSES, cache: `${folder}/cache` })
})

behaves("WebDataset with names in JSON", {
  side: 8,
  files: async (all) => ({ "train.tar": await shard(all, 0, named) }),
  layer: (folder) => Images.layerWebDataset({ train: [`${folder}/train.tar`] }, { label: "animal" })
})

const withShard = <A, E, R>(
  content: Promise<Uint8Array>,
  use: (
    folder: string,
    layer: ReturnType<typeof Images.layerWebDataset>
  ) => Effect.Effect<A, E, R | FileSystem.FileSystem>
) =>
  Effect.flatMap(
    Effect.promise(() => content),
    (bytes) =>
      withFolder({ "train.tar": bytes }, (folder) =>
        use(folder, Images.layerWebDataset({ train: `${folder}/train.tar` })))
  )

describe("Images.layerWebDataset", () => {
  it("expands patterns", () => {
    assert.deepStrictEqual(expand("a-{09..11}.tar"), ["a-09.tar", "a-10.tar", "a-11.tar"])
    assert.deepStrictEqual(expand("{x,y}/{0..1}.tar"), ["x/0.tar", "x/1.tar", "y/0.tar", "y/1.tar"])
    assert.deepStrictEqual(expand("plain.tar"), ["plain.tar"])
  })

  it.effect("lists a shard once, and again when it changed", () =>
    withShard(shard(samples(8)), (folder, layer) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const first = yield* load(layer)
        const [entry] = yield* fs.readDirectory(`${folder}/.patchword`)
        const [file] = yield* fs.readDirectory(`${folder}/.patchword/${entry}`)
        const index = `${folder}/.patchword/${entry}/${file}`
        const text = yield* fs.readFileString(index)
        yield* fs.writeFileString(index, text.replace("a/005.png", "a/renamed.png"))
        assert.strictEqual((yield* load(layer)).describe(5), "train.tar/a/renamed.png")
        yield* fs.writeFileString(index, "{")
        assert.strictEqual((yield* load(layer)).digest, first.digest)
        yield* fs.writeFile(`${folder}/train.tar`, yield* Effect.promise(() => shard(samples(8).slice(1))))
        assert.strictEqual((yield* load(layer)).length, 5)
      })))

  it.effect("unpacks a shard once", () =>
    withShard((async () => gzipSync(await shard(samples(8))))(), (folder, layer) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* load(layer)
        const [entry] = yield* fs.readDirectory(`${folder}/.patchword`)
        const unpacked = `${folder}/.patchword/${entry}/shard.tar`
        assert.deepStrictEqual(
          Buffer.from(yield* fs.readFile(unpacked)),
          gunzipSync(yield* fs.readFile(`${folder}/train.tar`))
        )
        yield* fs.writeFile(`${folder}/train.tar`, (yield* fs.readFile(`${folder}/train.tar`)).subarray(0, 200))
        const message = yield* refused(load(layer), "FileDamaged", 65)
        assert.include(message, "train.tar: the file cannot be used (unexpected end of file)")
        assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/.patchword`), [entry])
      })))

  it.effect("takes images without labels for one class, and passes over what is no image", () =>
    withShard(
      (async () =>
        tar([
          ["README", "x"],
          ["meta.json", "{}"],
          [".hidden.png", "x"],
          ["b.v1/0.png", await encoded(samples(8)[0]!.picture)],
          ["b.v1/0.seg.png", "x"],
          ["./1.png", await encoded(samples(8)[1]!.picture)]
        ]))(),
      (_, layer) =>
        Effect.map(load(layer), ({ classes, describe: name, labels, length }) => {
          assert.strictEqual(length, 2)
          assert.deepStrictEqual(classes, ["."])
          assert.deepStrictEqual([...labels], [0, 0])
          assert.deepStrictEqual([name(0), name(1)], ["train.tar/b.v1/0.png", "train.tar/1.png"])
        })
    ))

  it.effect("refuses a label that is no class, and an image without a label among others", () =>
    withShard(
      (async () =>
        tar([
          ["0.png", await encoded(samples(8)[0]!.picture)],
          ["1.cls", "7"],
          ["1.png", await encoded(samples(8)[1]!.picture)]
        ]))(),
      (folder, layer) =>
        Effect.gen(function*() {
          const message = yield* refused(load(layer), "LabelUnknown", 65)
          assert.include(message, "train.tar/0.png has the label \"\", which is none of the 8 classes")
          const few = Images.layerWebDataset({ train: `${folder}/train.tar` }, { classes: CLASSES })
          yield* refused(load(few), "LabelUnknown", 65)
        })
    ))

  it.effect("refuses shards that are missing, cut off, or no tar", () =>
    withShard(shard(samples(8)), (folder, layer) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const bytes = yield* fs.readFile(`${folder}/train.tar`)
        yield* fs.writeFile(`${folder}/train.tar`, bytes.subarray(0, 1700))
        const cut = yield* refused(load(layer), "FileTruncated", 65)
        assert.include(cut, "train.tar: the file should have 2048 bytes but has 1700;")
        yield* fs.writeFile(`${folder}/train.tar`, new Uint8Array(2048).fill(7))
        yield* refused(load(layer), "FileDamaged", 65)
        yield* fs.remove(`${folder}/train.tar`)
        const missing = yield* refused(load(layer), "FileError", 66)
        assert.include(missing, "train.tar: there is no such file")
      })))

  it.effect("takes the label from the field that is asked for", () =>
    withShard(shard(samples(8), 0, named), (folder) =>
      Effect.gen(function*() {
        const labelled = (label: string) => load(Images.layerWebDataset({ train: `${folder}/train.tar` }, { label }))
        assert.deepStrictEqual((yield* labelled("animal")).classes, CLASSES)
        assert.deepStrictEqual([...(yield* labelled("id")).labels], [7, 7, 7, 7, 7, 7])
        assert.deepStrictEqual((yield* labelled("none")).classes, ["."])
      })))

  it.effect("refuses a split without images", () =>
    withShard(
      tar([["0.cls", "1"]]),
      (_, layer) =>
        Effect.map(refused(load(layer), "SplitEmpty", 66), (message) =>
          assert.include(message, "train: its files hold no usable image (jpg, "))
    ))

  it.effect("refuses JSON that is damaged", () =>
    withShard(
      (async () => tar([["0.json", "{\"label\": tru"], ["0.png", await encoded(samples(8)[0]!.picture)]]))(),
      (_, layer) =>
        Effect.map(refused(load(layer), "FileDamaged", 65), (message) =>
          assert.include(message, "train.tar: the file cannot be used (0.json: "))
    ))
})
