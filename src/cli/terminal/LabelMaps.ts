/** The classes of the pixels of images: label maps in a folder, and lines that tell the share of each class. */
import { Effect } from "effect"
import * as ClassColours from "../../domain/pixels/ClassColours.ts"
import * as Files from "../../layers/files/Files.ts"
import * as IndexedPng from "../../layers/files/IndexedPng.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type { PredictedPixels } from "../../pipelines/evaluate/PredictPixels.ts"
import * as Print from "./Print.ts"

/** The file of a folder of label maps that names the classes. */
export const CLASSES = "classes.json"

/** Splits the name of an image into the names of folders and the file. None of them leads out of a folder. */
const partsOf = (name: string): ReadonlyArray<string> =>
  name.split(/[/\\]/).filter((part) => part !== "" && part !== "." && part !== "..").map((part) =>
    part.replace(/[:*?"<>|\0]/g, "_")
  )

/** Returns the name of each image's label map in a folder: that of the image with the ending .png. */
export const namesOf = (set: ImageSet): ReadonlyArray<string> => {
  const names = Array.from(
    { length: set.length },
    (_, index) => partsOf(set.describe(index)).join("/") || String(index)
  )
  const stems = names.map((name) => name.replace(/\.[^./]+$/, ""))
  const counts = Map.groupBy(stems.map((stem) => stem.toLowerCase()), (stem) => stem)
  // Images whose names differ by their ending keep it.
  const told = names.map((name, i) => counts.get(stems[i]!.toLowerCase())!.length === 1 ? stems[i]! : name)
  const seen = new Set<string>()
  return told.map((name, i) => {
    const own = seen.has(name.toLowerCase()) ? `${name}-${i}` : name
    seen.add(own.toLowerCase())
    return `${own}.png`
  })
}

/** Writes the names and colours of the classes into a folder. */
export const describe = Effect.fnUntraced(function*(folder: string, classes: ReadonlyArray<string>) {
  const files = yield* Files.make
  const listed = classes.map((name, label) => ({ label, class: name, colour: ClassColours.of(label) }))
  yield* files.write(files.path.join(folder, CLASSES), `${JSON.stringify(listed, null, 2)}\n`)
})

/** Writes a label map into a folder. */
export const write = Effect.fnUntraced(function*(folder: string, name: string, image: PredictedPixels) {
  const files = yield* Files.make
  yield* files.write(files.path.join(folder, name), [IndexedPng.encode(image.labels)])
})

/** The classes of an image with their shares, as a line of JSON or for people. */
export const line = (json: boolean, set: ImageSet, top: number) => ({ index, shares }: PredictedPixels): string => {
  const [image, shown] = [set.describe(index), shares.slice(0, top)]
  if (json) return JSON.stringify({ image, shares: shown })
  return [image, ...shown.map((one) => `${one.class} ${Print.percent(one.share)} %`)].join("  ")
}
