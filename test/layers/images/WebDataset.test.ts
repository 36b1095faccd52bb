import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execFileSync } from "node:child_process"
import { gunzipSync, gzipSync } from "node:zlib"
import * as Tar from "tar-stream"
import * as Images from "../../../src/layers/images/Images.ts"
import { expand } from "../../../src/layers/images/sources/Shards.ts"
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

const open = (options?: Images.WebDatasetOptions) => (folder: string) =>
  Images.layerWebDataset({ train: `${folder}/train-{00..01}.tar` }, options)

describe("a shard that is a bomb", () => {
  const zeros = Buffer.alloc(2 ** 26 + 2 ** 24)
  it.effect("of zeros in gzip is not unpacked", () =>
    withFolder({ "train-00.tar": gzipSync(zeros), "train-01.tar": "" }, (folder) =>
      Effect.gen(function*() {
        const message = yield* refused(load(open()(folder)), "FileDamaged", 65)
        assert.match(message, /it has \d+ bytes, and more than \d+ when it is unpacked/)
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/.patchword`), [])
      })))

  it.effect("with a label of many megabytes is refused before it is read", () =>
    Effect.flatMap(
      Effect.promise(() => tar([["a.cls", zeros.subarray(0, 2 ** 24 + 1)]])),
      (shard) =>
        withFolder({ "train-00.tar": shard, "train-01.tar": "" }, (folder) =>
          Effect.gen(function*() {
            assert.match(yield* refused(load(open()(folder)), "FileDamaged", 65), /a\.cls has 16777217 bytes, too many/)
          }))
    ))
})

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

const PIXEL = await encoded({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3) })

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

  it.effect.each([{ kind: "plain", pack: (bytes: Buffer) => bytes }, {
    kind: "compressed",
    pack: (bytes: Buffer) => gzipSync(bytes, { level: 0 })
  }])("reads a $kind shard anew that has another content, but the size and time of before", ({ pack }) => {
    const of = async (label: string, pixel: number) =>
      pack(
        await tar([["0.png", await encoded({ width: 1, height: 1, data: Uint8Array.of(pixel, 0, 0) })], [
          "0.cls",
          label
        ]])
      )
    return withShard(of("2", 7), (folder, layer) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${folder}/train.tar`
        const time = new Date(1e12)
        yield* fs.utimes(file, time, time)
        const { size } = yield* fs.stat(file)
        assert.deepStrictEqual([...(yield* load(layer)).labels], [2])
        yield* fs.writeFile(file, yield* Effect.promise(() => of("1", 9)))
        yield* fs.utimes(file, time, time)
        assert.strictEqual((yield* fs.stat(file)).size, size)
        const set = yield* load(layer)
        assert.deepStrictEqual([...set.labels], [1])
        assert.deepStrictEqual([...(yield* set.image(0)).data], [9, 0, 0])
        assert.lengthOf(yield* fs.readDirectory(`${folder}/.patchword`), 1)
      }))
  })

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
        Effect.map(load(layer), ({ classes, describe: name, labels, leftOut, length }) => {
          assert.deepStrictEqual(leftOut, [{ kind: "json", count: 1 }])
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
          const message = yield* refused(load(layer), "LabelMissing", 65)
          assert.include(
            message,
            "train.tar/0.png has no label, though other images have (the .cls of each sample, or "
          )
          const few = Images.layerWebDataset({ train: `${folder}/train.tar` }, { classes: CLASSES })
          yield* refused(load(few), "LabelMissing", 65)
        })
    ))

  it.effect("joins the files of a sample wherever they stand", () =>
    withShard(
      (async () => {
        const all = await members(samples(8), 0, numbered)
        return tar([...all.filter(([name]) => name.endsWith("png")), ...all.filter(([name]) => name.endsWith("cls"))])
      })(),
      (_, layer) =>
        Effect.gen(function*() {
          const set = yield* load(layer)
          assert.deepStrictEqual([...set.labels], [0, 0, 1, 1, 2, 2])
          assert.deepStrictEqual(yield* set.image(5), samples(8)[5]?.picture)
        })
    ))

  const sample = (label: string, ending = "cls"): ReadonlyArray<readonly [string, Content]> => [
    [`0.${ending}`, label],
    ["0.png", PIXEL],
    ["1.cls", "1"],
    ["1.png", PIXEL]
  ]

  it.effect.each([
    ["9007199254740993", "9007199254740992"],
    ["9007199254740992", "9007199254740993"]
  ])("keeps integers of any size: %s", ([first, second]) =>
    withShard(
      tar([["0.cls", first!], ["0.png", PIXEL], ["1.json", `{"label":${second}}`], ["1.png", PIXEL]]),
      (_, layer) =>
        Effect.gen(function*() {
          for (const _again of [1, 2]) {
            const set = yield* load(layer)
            assert.deepStrictEqual(set.classes, [first!, second!].toSorted())
            assert.strictEqual(set.classes[set.labels[0]!], first)
          }
        })
    ))

  it.effect("reads a number with a sign or zeros before it as that number", () =>
    withShard(tar(sample("+000")), (_, layer) =>
      Effect.map(load(layer), ({ classes, labels }) => {
        assert.deepStrictEqual(classes, ["0", "1"])
        assert.deepStrictEqual([...labels], [0, 1])
      })))

  it.effect.each(
    [
      ["LabelUnknown", "train.tar/0.png has the label -1, but classes are numbers from 0", sample("-1")],
      ["LabelMissing", "train.tar/0.png has no label", sample(" \n")],
      ["LabelMissing", "train.tar/0.png has no label", sample("{\"label\":null}", "json")],
      ["LabelsUnusable", "0.cls: a label is a text or an integer, not bytes that are no UTF-8", [
        ["0.cls", Uint8Array.of(0xe9)],
        ["0.png", PIXEL]
      ]],
      [
        "LabelsUnusable",
        "the field \"label\" of 0.json: a label is a text or an integer, not 0.4",
        sample("{\"label\":0.4}", "json")
      ],
      ["LabelsUnusable", "a label is a text or an integer, not true", sample("{\"label\":true}", "json")],
      ["LabelsUnusable", "a label is a text or an integer, not a list", sample("{\"label\":[1]}", "json")],
      ["LabelsUnusable", "0.cls: a label is a text or an integer, not several lines", sample("0\n1\n")],
      [
        "LabelsUnusable",
        "some are numbers (1), others are names (\"dog\"); use only numbers or only names",
        sample("dog")
      ],
      ["LabelsUnusable", "but class_id could be the label; ", [["0.png", PIXEL], ["0.json", "{\"class_id\":1}"]]],
      ["FileDamaged", "a.png and a.png belong to one sample, a, which can have only one of them", [
        ["a.png", PIXEL],
        ["a.cls", "0"],
        ["a.png", PIXEL]
      ]],
      ["FileDamaged", "a.png and a.JPG belong to one sample, a, ", [["a.png", PIXEL], ["b.png", PIXEL], [
        "a.JPG",
        PIXEL
      ]]],
      ["FileDamaged", "a.cls and a.cls belong to one sample", [["a.png", PIXEL], ["a.cls", "0"], ["a.cls", "0"]]],
      [
        "FileDamaged",
        "d/22.00.png belongs to the sample d/22, because a key ends at the first dot, but is not its image",
        [
          ["d/22.00.png", PIXEL],
          ["d/22.00.cls", "0"]
        ]
      ]
    ] as const
  )(
    "refuses labels that could get lost: %s, %s",
    ([tag, said, content]) =>
      withShard(
        tar(content),
        (_, layer) => Effect.map(refused(load(layer), tag, 65), (message) => assert.include(message, said))
      )
  )

  it.effect("says that nothing was read as a label", () =>
    withShard(
      tar([["0.png", PIXEL], ["1.png", PIXEL]]),
      (_, layer) =>
        Effect.map(load(layer), ({ classes, labelSource }) => {
          assert.deepStrictEqual(classes, ["."])
          assert.strictEqual(labelSource, "nothing: no sample has a .cls, or a field \"label\" in its .json")
        })
    ))

  it.effect("refuses a folder that is said to have bytes, and links", () =>
    Effect.gen(function*() {
      const good = yield* Effect.promise(() => tar(sample("0")))
      const typed = (type: string) => {
        const changed = Buffer.from(good)
        changed.write(type, 156)
        changed.write("        ", 148)
        const sum = changed.subarray(0, 512).reduce((all, byte) => all + byte, 0)
        changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
        return changed
      }
      for (
        const [type, said] of [["5", "train.tar: the file cannot be used (0.cls is a folder with 1 bytes of content"], [
          "2",
          "train.tar: the file cannot be used (0.cls is a symlink, not a regular file"
        ]] as const
      ) {
        yield* withShard(Promise.resolve(typed(type)), (_, layer) =>
          Effect.map(refused(load(layer), "FileDamaged", 65), (message) => assert.include(message, said)))
      }
    }))

  it.effect.each(
    [
      ["names", [""]],
      ["names", []],
      ["sizes", [-5, 1]],
      ["sizes", [1, 2 ** 50]],
      ["offsets", [-1, 512]],
      ["labels", [0.5, null]],
      ["labels", [["x"], null]]
    ] as const
  )(
    "lists a shard anew where the list of it has wrong %s: %o",
    ([column, values]) =>
      withShard(tar(sample("0")), (folder, layer) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          const { digest } = yield* load(layer)
          const [entry] = yield* fs.readDirectory(`${folder}/.patchword`)
          const [file] = yield* fs.readDirectory(`${folder}/.patchword/${entry}`)
          const index = `${folder}/.patchword/${entry}/${file}`
          const kept = yield* fs.readFileString(index)
          const wrong: unknown = { ...JSON.parse(kept) as object, [column]: values }
          yield* fs.writeFileString(index, JSON.stringify(wrong))
          assert.strictEqual((yield* load(layer)).digest, digest)
          assert.strictEqual(yield* fs.readFileString(index), kept)
        }))
  )

  it.effect.each(["constructor", "toString", "__proto__"])(
    "has a split called %s only where there is one",
    (name) =>
      withShard(tar(sample("0")), (folder, layer) =>
        Effect.gen(function*() {
          yield* refused(load(layer, name), "UnknownSplit", 66)
          const named = Images.layerWebDataset(Object.fromEntries([[name, `${folder}/train.tar`]]))
          assert.strictEqual((yield* load(named, name)).length, 2)
        }))
  )

  it.effect("refuses shards that are missing, cut off, or no tar", () =>
    withShard(shard(samples(8)), (folder, layer) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const bytes = yield* fs.readFile(`${folder}/train.tar`)
        yield* fs.writeFile(`${folder}/train.tar`, bytes.subarray(0, 1700))
        const cut = yield* refused(load(layer), "FileTruncated", 65)
        assert.include(cut, "train.tar: the file is cut off: it has 1700 of 2048 bytes;")
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
        const message = yield* refused(labelled("none"), "LabelsUnusable", 65)
        assert.include(message, "no sample has a field \"none\" in a .json; ")
        const unlabelled = yield* load(Images.layerWebDataset({ train: `${folder}/train.tar` }, { label: false }))
        assert.deepStrictEqual([unlabelled.classes, unlabelled.labelSource], [["."], "nothing, as asked"])
      })))

  it.effect.each([{}, { label: "label" }])(
    "takes a label that is null in every sample for none (%o)",
    (options) =>
      withShard(
        tar([["0.png", PIXEL], ["0.json", "{\"label\":null,\"class\":3}"], ["1.png", PIXEL], [
          "1.json",
          "{\"label\":\"\"}"
        ]]),
        (folder) =>
          Effect.map(load(Images.layerWebDataset({ train: `${folder}/train.tar` }, options)), (set) => {
            assert.deepStrictEqual(set.classes, ["."])
            assert.deepStrictEqual([...set.labels], [0, 0])
            assert.strictEqual(set.labelSource, "nothing: the field \"label\" of each .json is empty")
          })
      )
  )

  it.effect("tells which samples have no image", () =>
    Effect.gen(function*() {
      const [{ picture }] = samples(8) as [Sample]
      const image = yield* Effect.promise(() => encoded(picture))
      const first = yield* Effect.promise(() => tar([["a.png", image], ["a.cls", "0"], ["b.bmp", "x"], ["b.cls", "1"]]))
      const second = yield* Effect.promise(() =>
        tar([["c.png", image], ["c.cls", "1"], ["d.bmp", "x"], ["e.cls", "1"]])
      )
      yield* withFolder({ "train-00.tar": first, "train-01.tar": second }, (folder) =>
        Effect.gen(function*() {
          for (const _ of ["listed", "kept"]) {
            const set = yield* load(open()(folder))
            assert.strictEqual(set.length, 2)
            assert.deepStrictEqual(set.leftOut, [{ kind: "bmp", count: 2 }, { kind: "cls", count: 1 }])
          }
        }))
    }))

  it.effect("opens no shard that is no file", () =>
    withFolder({}, (folder) =>
      Effect.gen(function*() {
        const pipe = `${folder}/train.tar`
        execFileSync("mkfifo", [pipe])
        for (const layer of [Images.layerWebDataset({ train: pipe }), Images.layerParquet({ train: pipe })]) {
          assert.include(yield* refused(load(layer), "FileDamaged", 65), "it is a FIFO, not a regular file")
        }
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
