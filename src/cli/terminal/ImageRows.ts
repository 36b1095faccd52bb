/** Arrays of images on the disk, with the name and the class of the image of each row beside them. */
import { Effect } from "effect"
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

/**
 * Writes arrays with a row per image and the labels into a safetensors file, and beside it a CSV file with the columns `row`,
 * `image`, `label` and `class`. Gives the names of both.
 */
export const write = Effect.fnUntraced(function*(
  file: string,
  set: ImageSet.ImageSet,
  arrays: Readonly<Record<string, Safetensors.Tensor>>
) {
  const files = yield* Files.make
  const rows = tableOf(file)
  yield* files.write(rows, table(set))
  const labels = { shape: [set.length], dtype: "int32", data: set.labels } as const
  yield* files.write(file, Safetensors.encodeParts({ ...arrays, labels }, ImageSet.header(set)))
  return { file, rows }
})
