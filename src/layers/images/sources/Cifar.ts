/** CIFAR-10 and CIFAR-100 in their published form: binary records of a label and three planes of 32 × 32 pixels. */
import { Effect } from "effect"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import {
  FilesMissing,
  FileTruncated,
  FolderMissing,
  LabelUnknown,
  UnknownSplit,
  within
} from "../reading/ImagesError.ts"
import { memory } from "../reading/ImageSet.ts"
import * as Labels from "./Labels.ts"
import * as Shards from "./Shards.ts"

const SIDE = 32
const PLANE = SIDE * SIDE

/**
 * A published layout: the files of its splits, and the number of label bytes before the pixels. The last of them is the
 * label.
 */
interface Layout {
  readonly files: Readonly<Record<string, ReadonlyArray<string>>>
  readonly classes: string
  readonly labels: number
}

const LAYOUTS: ReadonlyArray<Layout> = [
  {
    files: { train: [1, 2, 3, 4, 5].map((part) => `data_batch_${part}.bin`), test: ["test_batch.bin"] },
    classes: "batches.meta.txt",
    labels: 1
  },
  { files: { train: ["train.bin"], test: ["test.bin"] }, classes: "fine_label_names.txt", labels: 2 }
]

const interleave = (planes: Uint8Array): Picture => {
  const data = new Uint8Array(planes.length)
  for (let pixel = 0; pixel < PLANE; pixel++) {
    data[pixel * 3] = planes[pixel]!
    data[pixel * 3 + 1] = planes[PLANE + pixel]!
    data[pixel * 3 + 2] = planes[2 * PLANE + pixel]!
  }
  return { width: SIDE, height: SIDE, data }
}

export const make = Effect.fnUntraced(function*(directory: string) {
  const { fs, path, readText } = yield* Files.make
  const at = (name: string) => path.join(directory, name)

  const layout = yield* Effect.gen(function*() {
    if (!(yield* fs.exists(directory))) return yield* new FolderMissing({})
    const names = yield* fs.readDirectory(directory)
    const found = LAYOUTS.find(({ classes }) => names.includes(classes))
    if (found === undefined) {
      return yield* new FilesMissing({ wanted: LAYOUTS.map(({ classes }) => classes).join(" or ") })
    }
    return found
  }).pipe(Files.onFailure(directory), within(directory))
  const splits = Object.keys(layout.files)

  const classesOf = yield* Effect.cached(
    Shards.stat(fs, at(layout.classes)).pipe(
      Effect.andThen(readText(at(layout.classes))),
      Effect.flatMap(Labels.namesOf),
      Effect.tap(Labels.distinct)
    )
  )

  const records = Effect.fnUntraced(function*(file: string, classes: ReadonlyArray<string>) {
    yield* Shards.stat(fs, file)
    const bytes = yield* Files.onFailure(file)(fs.readFile(file))
    const length = layout.labels + 3 * PLANE
    const count = Math.ceil(bytes.length / length)
    if (bytes.length === 0 || bytes.length % length !== 0) {
      return yield* new FileTruncated({ expected: Math.max(1, count) * length, found: bytes.length })
    }
    const read: Array<{ readonly name: string; readonly label: number; readonly picture: Picture }> = []
    for (let record = 0; record < count; record++) {
      const start = record * length
      const label = bytes[start + layout.labels - 1]!
      const name = `${path.basename(file)} record ${record}`
      if (label >= classes.length) {
        return yield* new LabelUnknown({ image: `record ${record}`, label: String(label), classes: classes.length })
      }
      read.push({ name, label, picture: interleave(bytes.subarray(start + layout.labels, start + length)) })
    }
    return read
  }, (self, file) => within(file)(self))

  const load = Effect.fnUntraced(function*(split: string) {
    const files = Object.hasOwn(layout.files, split) ? layout.files[split] : undefined
    if (files === undefined) return yield* within(directory)(new UnknownSplit({ split, splits }))
    const classes = yield* within(at(layout.classes))(classesOf)
    const read = (yield* Effect.forEach(files, (name) => records(at(name), classes))).flat()
    const set = memory(
      split,
      classes,
      read.map(({ picture }) => picture),
      read.map(({ label }) => label),
      (index) => read[index]?.name ?? ""
    )
    return { ...set, labelSource: `the last byte before the pixels of each record, named by ${layout.classes}` }
  })

  return { splits, load: yield* memoize(load) }
})
