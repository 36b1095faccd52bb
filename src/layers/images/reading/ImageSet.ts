/**
 * Labelled images in a fixed order, from any source.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { ImageSet } from "patchword/layers"
 *
 * const grey = (value: number) => ({ width: 8, height: 8, data: new Uint8Array(192).fill(value) })
 * const set = ImageSet.memory("greys", ["dark", "light"], [grey(10), grey(240)], [0, 1])
 * const light = ImageSet.subset(set, [1])
 * assert.deepStrictEqual([...light.labels], [1])
 * assert.strictEqual((await Effect.runPromise(light.image(0))).data[0], 240)
 * ```
 */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import type { Colour } from "../../../domain/config/AugmentConfig.ts"
import type { Drawn } from "../../../domain/evaluation/Holdout.ts"
import type { LabelMap } from "../../../domain/pixels/LabelMap.ts"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import * as Files from "../../files/Files.ts"
import type { ImagesError } from "./ImagesError.ts"
import type { LeftOut } from "./LeftOut.ts"

export { LeftOut, toldLeftOut } from "./LeftOut.ts"

/**
 * The class of each pixel of an image. If the set has `pixelClasses`, the numbers are indices of these, and 255 stands for none.
 * Otherwise they are those of the file.
 */
export type Annotation = LabelMap

/** Images with their classes. */
export interface ImageSet {
  readonly name: string
  readonly length: number
  readonly classes: ReadonlyArray<string>
  /** The WordNet numbers of the classes, if they are known beside the names. */
  readonly synsets?: ReadonlyArray<string>
  /** Class of each image, as an index into `classes`. */
  readonly labels: Int32Array
  /** Source of the labels, as part of a sentence: "the sub-folders of photos". */
  readonly labelSource?: string
  /** Indices of the only classes that can occur, if these are fewer than `classes`. Figures are measured among them. */
  readonly among?: Int32Array
  /** SHA-256 of the images, their order and their classes. */
  readonly digest: string
  /** Images that are left out because they could not be used, one sentence each. */
  readonly skipped: ReadonlyArray<string>
  /** Files among the images that are left out because they are not images. */
  readonly leftOut: ReadonlyArray<LeftOut>
  /** The division of its source, if the set is one of two parts of a split; see `Images.holdout`. */
  readonly holdout?: Drawn
  /** Colour handling of its files; absent if its images are not files. */
  readonly colour?: Colour
  /** Decodes the image at an index. Fails with `ImagesError`. */
  readonly image: (index: number) => Effect.Effect<Picture, ImagesError>
  /** Returns the classes of an image's pixels, at the size of its file. Absent if the collection has none. */
  readonly annotation?: (index: number) => Effect.Effect<Annotation, ImagesError>
  /** The names of the classes of pixels, if they are known. */
  readonly pixelClasses?: ReadonlyArray<string>
  /** Returns the path or the name of an image, for reports. */
  readonly describe: (index: number) => string
}

// The key is the function itself, so a set that is derived from another one with its own function is not found.
const keepers = new WeakMap<ImageSet["image"], (picture: Picture) => boolean>()

/**
 * Marks the images that a set itself keeps. All others belong to their receiver alone, so that {@link lend} may free them.
 */
export const keeping = (image: ImageSet["image"], kept: (picture: Picture) => boolean): ImageSet["image"] => {
  keepers.set(image, kept)
  return image
}

const free = ({ data }: Picture): void => {
  const { buffer } = data
  if (buffer instanceof ArrayBuffer && buffer.byteLength === data.byteLength) buffer.transfer(0)
}

/**
 * Lends an image of a set to `use`. Its memory is freed at once afterwards, unless the set keeps the image. The garbage
 * collector would need much time for this memory, compared with decoding.
 */
export const lend = <A, E, R>(
  set: ImageSet,
  index: number,
  use: (picture: Picture) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | ImagesError, R> =>
  Effect.flatMap(set.image(index), (picture) => {
    const kept = keepers.get(set.image)
    if (kept === undefined || kept(picture)) return use(picture)
    return Effect.ensuring(use(picture), Effect.sync(() => free(picture)))
  })

/** Dies with `RangeError`: the set has no image of this index. This is an error in the program, not in the data. */
export const outside = (name: string, index: number, length: number): Effect.Effect<never> =>
  Effect.die(new RangeError(`image set ${name}: there is no image ${index}, only 0 to ${length - 1}`))

/** Makes a set of images in memory. By default, `describe` returns their indices. */
export const memory = (
  name: string,
  classes: ReadonlyArray<string>,
  pictures: ReadonlyArray<Picture>,
  labels: ArrayLike<number>,
  describe: (index: number) => string = String
): ImageSet => {
  if (labels.length !== pictures.length) {
    throw new RangeError(
      `image set ${name}: expected as many labels as pictures, got ${labels.length} and ${pictures.length}`
    )
  }
  const numbers = Int32Array.from(labels)
  const hash = createHash("sha256").update(JSON.stringify([classes, ...numbers]))
  for (const { data, height, width } of pictures) hash.update(`${width} ${height}\n`).update(data)
  return {
    name,
    length: pictures.length,
    classes,
    labels: numbers,
    digest: hash.digest("hex"),
    skipped: [],
    leftOut: [],
    image: (index) => {
      const picture = pictures[index]
      return picture === undefined ? outside(name, index, pictures.length) : Effect.succeed(picture)
    },
    describe
  }
}

/** Returns the images at `indices`, in that order. The classes stay the same. */
export const subset = (set: ImageSet, indices: ArrayLike<number>): ImageSet => {
  const chosen = Int32Array.from(indices)
  const at = (index: number) => chosen[index] ?? -1
  const among = <A>(get: (index: number) => Effect.Effect<A, ImagesError>) => (index: number) =>
    index in chosen ? get(at(index)) : outside(set.name, index, chosen.length)
  const image = among(set.image)
  const kept = keepers.get(set.image)
  return {
    ...set,
    length: chosen.length,
    labels: chosen.map((index) => set.labels[index]!),
    digest: Files.sha256(`${set.digest} ${chosen.join(" ")}`),
    image: kept === undefined ? image : keeping(image, kept),
    ...(set.annotation === undefined ? {} : { annotation: among(set.annotation) }),
    describe: (index) => set.describe(at(index))
  }
}

/** Returns the metadata of a file of arrays that belong to these images. Its labels are indices of these classes. */
export const header = (set: ImageSet): Readonly<Record<string, string>> => ({
  images: set.digest,
  classes: JSON.stringify(set.classes)
})
