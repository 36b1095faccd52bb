/** Arrays of images on the disk, with the name and the class of the image of each row beside them. */
import { Effect, Stream } from "effect"
import * as Csv from "../../domain/values/Csv.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../../layers/files/Files.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"

const named = (set: ImageSet.ImageSet, index: number) => {
  const label = set.labels[index]!
  return { image: set.describe(index), label, class: set.classes[label] }
}

/** A line of JSON for each row: the name and the class of its image, and its values. */
export const lines = <A extends { readonly index: number }>(
  set: ImageSet.ImageSet,
  rows: ReadonlyArray<A>,
  valuesOf: (row: A) => object
): string => rows.map((row) => JSON.stringify({ ...named(set, row.index), ...valuesOf(row) })).join("\n")

const COLUMNS = ["row", "image", "label", "class"]

/** So many rows are written at once. */
const CHUNK = 1024

function* table(set: ImageSet.ImageSet): Generator<Uint8Array> {
  const encoder = new TextEncoder()
  yield encoder.encode(Csv.line(COLUMNS))
  for (let start = 0; start < set.length; start += CHUNK) {
    const rows = Array.from({ length: Math.min(CHUNK, set.length - start) }, (_, i) => {
      const { class: name = "", image, label } = named(set, start + i)
      return Csv.line([start + i, image, label, name])
    })
    yield encoder.encode(rows.join(""))
  }
}

/** The ending of files of arrays. */
export const ENDING = ".safetensors"

/** `codes.csv` of `codes.safetensors`: the file that {@link write} writes beside the one of the arrays. */
export const tableOf = (file: string): string => `${file.slice(0, -ENDING.length)}.csv`

/** Makes a file. One that is there with the same content stays. One with other content is refused. */
const create = Effect.fnUntraced(function*(files: Files.Files, file: string, parts: Iterable<Uint8Array>) {
  const [wanted, found] = [Files.hasher(), Files.hasher()]
  const isNew = yield* files.createParts(file, (append) =>
    Effect.gen(function*() {
      for (const part of parts) {
        wanted.update(part)
        yield* append(part)
      }
    }))
  if (isNew) return
  const read = Stream.runForEach(files.fs.stream(file), (part) => Effect.sync(() => found.update(part)))
  yield* Files.onFailure(file)(read)
  if (found.digest("hex") === wanted.digest("hex")) return
  return yield* new Files.FileError({ path: file, kind: "taken", cause: undefined })
})

/**
 * Writes arrays with a row per image and the labels into a safetensors file, and beside it a CSV file with the columns `row`,
 * `image`, `label` and `class`. Gives the names of both. With `replace: false` it fails with `FileError` of the kind `taken` if one of the
 * files is there with other content.
 */
export const write = Effect.fnUntraced(function*(
  file: string,
  set: ImageSet.ImageSet,
  arrays: Readonly<Record<string, Safetensors.Tensor>>,
  options: { readonly replace?: boolean } = {}
) {
  const { replace = true } = options
  const files = yield* Files.make
  const rows = tableOf(file)
  const put = (file: string, parts: Iterable<Uint8Array>) =>
    replace ? files.write(file, parts) : create(files, file, parts)
  yield* put(rows, table(set))
  const labels = { shape: [set.length], dtype: "int32", data: set.labels } as const
  yield* put(file, Safetensors.encodeParts({ ...arrays, labels }, ImageSet.header(set)))
  return { file, rows }
})
