import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as CodeMap from "../../src/pipelines/atlas/CodeMap.ts"
import { ended, endsInterrupted, watched } from "../layers/machine/workers.ts"

const WIDTH = 4

/** Codes around two directions, by turns. */
const two = (size: number) => {
  const { normal } = KeyedRandom.generator({ seed: 0, purpose: "test", epoch: 0, index: 0 })
  return Float32Array.from({ length: size * WIDTH }, (_, i) => {
    const [code, channel] = [Math.floor(i / WIDTH), i % WIDTH]
    return (channel === code % 2 ? 1 : 0) + 0.05 * normal()
  })
}

const inside = (places: Float32Array, size: number) => {
  assert.lengthOf(places, 2 * size)
  assert.isTrue(places.every((place) => place >= 0 && place <= 1))
}

describe("CodeMap", () => {
  it.effect("has similar codes close to each other, and is the same again", () =>
    Effect.gen(function*() {
      const vectors = two(60)
      const places = yield* CodeMap.of(vectors, WIDTH)
      inside(places, 60)
      const middle = (group: number) =>
        [0, 1].map((axis) => {
          const own = Array.from({ length: 30 }, (_, i) => places[2 * (2 * i + group) + axis]!)
          return own.reduce((sum, one) => sum + one, 0) / own.length
        })
      const middles = [middle(0), middle(1)]
      const far = (code: number, group: number) =>
        Math.hypot(places[2 * code]! - middles[group]![0]!, places[2 * code + 1]! - middles[group]![1]!)
      assert.isTrue(
        Array.from({ length: 60 }, (_, code) => far(code, code % 2) < far(code, 1 - code % 2)).every(Boolean)
      )
      assert.deepStrictEqual(yield* CodeMap.of(vectors, WIDTH), places)
    }))

  it.effect("takes few codes, codes that are all the same, and codes without a direction", () =>
    Effect.gen(function*() {
      for (const size of [1, 2, 7, 8, 9]) inside(yield* CodeMap.of(two(size), WIDTH), size)
      inside(yield* CodeMap.of(new Float32Array(20 * WIDTH).fill(0.5), WIDTH), 20)
      inside(yield* CodeMap.of(new Float32Array(20 * WIDTH), WIDTH), 20)
    }))

  it.live("leaves the calling thread free, and ends its own", () =>
    Effect.gen(function*() {
      const { answering } = yield* watched
      yield* CodeMap.of(two(60), WIDTH)
      ended(answering)
    }))

  it.live("ends its thread when it is interrupted", () => endsInterrupted(CodeMap.of(two(60), WIDTH)))
})
