/**
 * Labelled pictures in a fixed order, wherever they come from.
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
import type { Holdout } from "../../../domain/evaluation/Holdout.ts"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import * as Files from "../../files/Files.ts"
import type { ImagesError } from "./ImagesError.ts"
import type { LeftOut } from "./LeftOut.ts"

export { LeftOut, toldLeftOut } from "./LeftOut.ts"

/** The class of each pixel of a picture: `height * width` numbers, row-major; what 0 means is the collection's. */
export interface Annotation {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** Pictures with their classes. */
export interface ImageSet {
  readonly name: string
  readonly length: number
  readonly classes: ReadonlyArray<string>
  /** The class of each picture, as an index into `classes`. */
  readonly labels: Int32Array
  /** What was read as the label, as it stands in a sentence: "the sub-folders of photos". */
  readonly labelSource?: string
  /** The only classes that can occur, by number, where these are fewer than `classes`. Figures are measured among them. */
  readonly among?: Int32Array
  /** A SHA-256 over the pictures, their order and their classes. */
  readonly digest: string
  /** Images that are left out because they could not be used, a sentence each. */
  readonly skipped: ReadonlyArray<string>
  /** What lay among the images and was not taken for one. */
  readonly leftOut: ReadonlyArray<LeftOut>
  /** How its source was divided, where it is one of two parts of a split; see `Images.holdout`. */
  readonly holdout?: Holdout
  /** How the colours of its files are read; absent where its pictures are no files. */
  readonly colour?: Colour
  /** Decodes the image at an index. Fails with `ImagesError`. */
  readonly image: (index: number) => Effect.Effect<Picture, ImagesError>
  /** The classes of a picture's pixels, in collections that have them, at the size of their file. */
  readonly annotation?: (index: number) => Effect.Effect<Annotation, ImagesError>
  /** The path or the name of a picture, for reports. */
  readonly describe: (index: number) => string
}

// By the function itself: a set that is made of another one, and hands out pictures its own way, is not in it.
const keepers = new WeakMap<ImageSet["image"], (picture: Picture) => boolean>()

/**
 * Says which pictures a set keeps beyond handing them out. All others are their receiver's alone, so that {@link lend} may
 * free them.
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
 * A picture of a set for as long as it is used. Afterwards its memory is free at once where the set does not keep it:
 * collecting so much garbage takes a good part of the time that decoding does.
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

/** What asking for a picture that a set does not have ends with: a mistake of the program, not of the data. */
export const outside = (name: string, index: number, length: number): Effect.Effect<never> =>
  Effect.die(new RangeError(`image set ${name}: there is no image ${index}, only 0 to ${length - 1}`))

/** A set of pictures in memory. `describe` gives their numbers unless told otherwise. */
export const memory = (
  name: string,
  classes: ReadonlyArray<string>,
  pictures: ReadonlyArray<Picture>,
  labels: ArrayLike<number>,
  describe: (index: number) => string = String
): ImageSet => {
  if (labels.length !== pictures.length) {
    throw new RangeError(`image set ${name}: ${pictures.length} pictures came with ${labels.length} labels`)
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

/** The pictures at `indices`, in that order. The classes stay the same. */
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

/** What a file of arrays says of the images that they are of. Its labels are numbers of these classes and of no others. */
export const header = (set: ImageSet): Readonly<Record<string, string>> => ({
  images: set.digest,
  classes: JSON.stringify(set.classes)
})
