/**
 * Holds out a part of a split, so that a network is tested on images that it never saw.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Holdout } from "patchword/domain"
 *
 * const labels = Int32Array.of(0, 0, 0, 0, 0, 1, 1, 1, 1, 1)
 * const birds = { name: "train", classes: ["jay", "owl"], labels, describe: (place: number) => `${place}.png` }
 * const { held, rest } = Result.getOrThrow(Holdout.split(birds, { share: 0.2, seed: 0 }))
 * assert.deepStrictEqual([...held].map((place) => labels[place]), [0, 1])
 * assert.strictEqual(rest.length, 8)
 * ```
 */
import { Result, Runtime, Schema } from "effect"
import * as KeyedRandom from "../values/KeyedRandom.ts"
import * as Quantity from "../values/Quantity.ts"
import { TaggedError } from "../values/TaggedError.ts"
import * as Classes from "./Classes.ts"

/** The share of each class that is held out, and the seed that selects the images. */
export const Holdout = Schema.Struct({
  share: Quantity.Part,
  seed: Schema.Int
})
export type Holdout = typeof Holdout.Type

/** A holdout with the images that it held out. */
export const Drawn = Schema.Struct({
  ...Holdout.fields,
  /** SHA-256 of the classes and names of the images that are held out; absent in files of earlier versions. */
  held: Schema.optionalKey(Schema.String),
  /** Digest of the whole set, before a part was held out; absent in files of earlier versions. */
  whole: Schema.optionalKey(Schema.String)
})
export type Drawn = typeof Drawn.Type

/** The largest number of class names in a message. */
const NAMED = 5

/** Some classes have one image, which cannot be in both parts. */
export class ClassesOfOne extends TaggedError<ClassesOfOne>()("ClassesOfOne", {
  classes: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { classes } = this
    const names = classes.slice(0, NAMED).map((name) => `"${name}"`).join(", ")
    return `no part can be held out: ${classes.length} ${
      classes.length === 1 ? "class has" : "classes have"
    } one image ` +
      `(${names}${classes.length > NAMED ? ", ..." : ""}). Each class needs two`
  }
  get remedy() {
    return "add images, or remove the class"
  }
}

/** One of the two parts would have no image. */
export class PartEmpty extends TaggedError<PartEmpty>()("PartEmpty", {
  share: Schema.Finite,
  images: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    const { images, share } = this
    return `a share of ${share} of ${images} images leaves no image for ${share < 0.5 ? "testing" : "training"}`
  }
  get remedy() {
    return "hold out another share, such as 0.2"
  }
}

/** Labelled images with a name each. */
export interface Named extends Classes.Labelled {
  /** The name of the image at an index. It identifies the image in the draw, and is unique within its class. */
  readonly describe: (place: number) => string
}

/** Sorts the images of a class by a random number. The seed, the class and the image's name determine that number. */
const ordered = (members: ReadonlyArray<number>, { classes, describe, labels }: Named, seed: number) =>
  members
    .map((place) => {
      const name = describe(place)
      const purpose = `holdout/${classes[labels[place]!]}/${name}`
      return { place, name, draw: KeyedRandom.generator({ seed, purpose, epoch: 0, index: 0 }).uniform() }
    })
    .toSorted((a, b) => a.draw - b.draw || (a.name < b.name ? -1 : 1))
    .map(({ place }) => place)

/**
 * Splits images into those that are held out and the rest. Both are ascending indices. Each class gives its share, rounded, and
 * has at least one image in both parts. The order of the images and the other classes do not matter. A larger share holds out
 * all images of a smaller share.
 *
 * Fails with `PartEmpty` if the share of all images rounds to none or to all, with `ClassesOfOne` if a class has one image.
 */
export const split = (
  named: Named,
  holdout: Holdout
): Result.Result<{ readonly held: Int32Array; readonly rest: Int32Array }, ClassesOfOne | PartEmpty> => {
  const { classes, labels } = named
  const { seed, share } = holdout
  const total = Math.round(share * labels.length)
  if (total === 0 || total === labels.length) {
    return Result.fail(new PartEmpty({ share, images: labels.length }))
  }
  const places = Int32Array.from(labels.keys())
  const byClass = Map.groupBy(places, (place) => labels[place]!)
  const alone = [...byClass].flatMap(([label, members]) => members.length === 1 ? [classes[label]!] : [])
  if (alone.length > 0) return Result.fail(new ClassesOfOne({ classes: alone.toSorted() }))
  const out = new Set([...byClass.values()].flatMap((members) => {
    const count = Math.min(members.length - 1, Math.max(1, Math.round(share * members.length)))
    return ordered(members, named, seed).slice(0, count)
  }))
  return Result.succeed({
    held: places.filter((place) => out.has(place)),
    rest: places.filter((place) => !out.has(place))
  })
}
