/** Laws of image sources. */
import { Effect, Exit, type Layer } from "effect"
import { Images, type ImagesError } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import * as Claim from "./Claim.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make, type Options } from "./Law.ts"
import { refused } from "./Refused.ts"

/**
 * Returns the laws of an image source with the split `split`. Each example opens the source again, so the laws also hold
 * between openings.
 */
export const images = <E>(layer: Layer.Layer<Images, E>, split = "train"): ReadonlyArray<Law> => {
  const opened = <A>(body: Effect.Effect<A, ImagesError, Images>): Promise<A> =>
    Effect.runPromise(Effect.provide(body, layer, { local: true }))
  const law = (
    name: string,
    body: (set: ImageSet) => Effect.Effect<void, ImagesError, Images>,
    options: Options = { numRuns: 1 }
  ) => make(name, fc.constant(split), () => opened(Effect.flatMap(load, body)), options)
  const load = Effect.tap(
    Images.use((images) => images.load(split)),
    ({ length }) => Effect.sync(() => Claim.holds(length > 0, () => `the split "${split}" has no pictures`))
  )

  return [
    make(
      "gives the same picture for the same index, in any order and repeatedly",
      fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
      (drawn) =>
        opened(Effect.gen(function*() {
          const set = yield* load
          const order = drawn.map((index) => index % set.length)
          // Copies show if a source writes into pictures that it returned.
          const read = (index: number) =>
            Effect.map(set.image(index), ({ data, ...size }) => ({ ...size, data: data.slice() }))
          const first = yield* Effect.forEach(order.toSorted((a, b) => a - b), read)
          const again = yield* Effect.forEach(order, set.image, { concurrency: "unbounded" })
          const sorted = order.map((index, at) => ({ index, at })).toSorted((a, b) => a.index - b.index)
          for (const [rank, { at, index }] of sorted.entries()) {
            const { data, height, width } = first[rank]!
            Claim.same(data.length, 3 * width * height, `the number of bytes of picture ${index}`)
            Claim.same(again[at], first[rank], `picture ${index} at another time`)
          }
        })),
      { numRuns: 5 }
    ),

    law("gives the same pictures, labels and names when it is opened again", (set) =>
      Effect.gen(function*() {
        const all = (set: ImageSet) =>
          Effect.map(
            Effect.forEach(new Set([0, set.length >> 1, set.length - 1]), set.image),
            (pictures) => ({
              pictures,
              labels: [...set.labels],
              classes: [...set.classes],
              names: Array.from(set.labels.keys(), set.describe)
            })
          )
        const [mine, another] = yield* Effect.all([all(set), Effect.promise(() => opened(Effect.flatMap(load, all)))])
        Claim.same(another, mine, "the set of another opening")
      })),

    law("gives every picture a unique name and a label among its classes", (set) =>
      Effect.sync(() => {
        Claim.same(set.name, split, "the name of the split")
        Claim.same(set.labels.length, set.length, "the number of labels")
        const strange = set.labels.find((label) => !(label in set.classes))
        Claim.holds(strange === undefined, () => `the label ${strange} is not among the ${set.classes.length} classes`)
        const names = Array.from(set.labels.keys(), set.describe)
        const twice = names.find((name, at) => name === "" || names.indexOf(name) !== at)
        Claim.holds(twice === undefined, () => `"${twice}" is empty or not unique`)
      })),

    law("has the same digest at every opening", ({ digest }) =>
      Effect.gen(function*() {
        Claim.holds(/^[0-9a-f]{64}$/.test(digest), () => `the digest is "${digest}", not 64 hexadecimal digits`)
        const other = yield* Effect.promise(() => opened(Effect.map(load, ({ digest }) => digest)))
        Claim.same(other, digest, "the digest of another opening")
      })),

    law("loads a split once, and lists all splits in the error for an unknown one", (set) =>
      Effect.gen(function*() {
        const { load, splits } = yield* Images
        Claim.holds(splits.includes(split), () => `"${split}" is none of the splits ${splits.join(", ")}`)
        Claim.holds(set === (yield* load(split)), () => "the split was loaded again")
        for (const none of ["none", "constructor", "toString", "__proto__"]) {
          const { message, reason } = yield* refused(load(none), `the split "${none}"`)
          Claim.same(reason._tag, "UnknownSplit", "the reason")
          const told = `there is no split "${none}"; choose one of ${splits.join(", ")}`
          Claim.holds(message.includes(told), () => `the error says "${message}", not "${told}"`)
        }
      })),

    law("dies on an index out of range", (set) =>
      Effect.gen(function*() {
        for (const index of [-1, set.length, 0.5]) {
          const exit = yield* Effect.exit(set.image(index))
          Claim.holds(Exit.hasDies(exit), () => `reading picture ${index} of ${set.length} is no defect`)
        }
      }))
  ]
}
