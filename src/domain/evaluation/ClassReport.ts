/**
 * The loss of a classifier on a split, its accuracy on each class, and its confusions.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Classes, ClassReport } from "patchword/domain"
 *
 * const train = { name: "train", classes: ["cat", "dog"], labels: Int32Array.of(0, 1) }
 * const met = Result.getOrThrow(Classes.meet(train, { ...train, labels: Int32Array.of(0, 1, 1) }))
 * const { add, report } = ClassReport.tally(met)
 * add(Float32Array.of(2, 0, 2, 0, 0, 2), [0, 1, 2])
 * assert.deepStrictEqual(report().perClass, [{ class: "cat", images: 1, right: 1 }, { class: "dog", images: 2, right: 1 }])
 * assert.deepStrictEqual(report().confusions, [{ class: "dog", as: "cat", images: 1 }])
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import type * as Classes from "./Classes.ts"
import * as Metrics from "./Metrics.ts"

/** The loss, the accuracy of each class, and the confusions of one split. */
export const ClassReport = Schema.Struct({
  /** The mean cross entropy over all images, in nats, without label smoothing. */
  loss: Schema.Finite,
  /** The possible answers in order, with the numbers of their images and of those that are classified right. */
  perClass: Schema.Array(Schema.Struct({ class: Schema.String, images: Quantity.Whole, right: Quantity.Whole })),
  /** Wrong answers: how many images of a class were taken for another one. Most frequent ones come first. */
  confusions: Schema.Array(Schema.Struct({ class: Schema.String, as: Schema.String, images: Quantity.Count }))
})
export type ClassReport = typeof ClassReport.Type

/** Sums over the images of a split, while their logits arrive. */
export interface Tally {
  /** Adds the logits of the learned classes, `[n, classes]`, row-major, of the images at `places`. */
  readonly add: (logits: Float32Array, places: ReadonlyArray<number>) => void
  /** Returns the report of the images that came. */
  readonly report: () => ClassReport
}

/**
 * Begins to count the answers on a split. Only pairs of classes that occur are kept, so memory does not grow with the square of
 * the number of classes.
 */
export const tally = (met: Classes.Met): Tally => {
  const { among, classes, labels } = met
  const answers = among ?? Int32Array.from(classes.keys())
  const placeOf = new Map(Array.from(answers, (number, place) => [number, place]))
  const pairs = new Map<number, number>()
  const sum = { images: 0, loss: 0 }
  return {
    add: (logits, places) => {
      const sought = among === undefined ? logits : Metrics.columns(logits, classes.length, among)
      const predicted = Metrics.predictions(sought, answers.length)
      places.forEach((place, row) => {
        const own = placeOf.get(labels[place]!)!
        const pair = own * answers.length + predicted[row]!
        pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
        const scores = sought.subarray(row * answers.length, (row + 1) * answers.length)
        const most = scores.reduce((a, b) => Math.max(a, b), -Infinity)
        const total = scores.reduce((all, score) => all + Math.exp(score - most), 0)
        sum.loss += Math.log(total) + most - scores[own]!
        sum.images++
      })
    },
    report: () => {
      const nameOf = (place: number) => classes[answers[place]!]!
      const [images, right] = [new Int32Array(answers.length), new Int32Array(answers.length)]
      const wrong: Array<{ readonly pair: number; readonly count: number }> = []
      for (const [pair, count] of pairs) {
        const [own, found] = [Math.floor(pair / answers.length), pair % answers.length]
        images[own]! += count
        if (own === found) right[own]! += count
        else wrong.push({ pair, count })
      }
      return {
        loss: sum.images === 0 ? 0 : sum.loss / sum.images,
        perClass: Array.from(answers, (_, place) => ({
          class: nameOf(place),
          images: images[place]!,
          right: right[place]!
        })),
        confusions: wrong.toSorted((a, b) => b.count - a.count || a.pair - b.pair).map(({ count, pair }) => ({
          class: nameOf(Math.floor(pair / answers.length)),
          as: nameOf(pair % answers.length),
          images: count
        }))
      }
    }
  }
}
