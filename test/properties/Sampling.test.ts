import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import fc from "fast-check"
import * as Sampling from "../../src/domain/method/Sampling.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const labels = fc.array(fc.nat(4), { minLength: 1, maxLength: 60 })

const how: fc.Arbitrary<typeof Sampling.Sampling.Type> = fc.record({
  share: fc.double({ min: 0.05, max: 1, noNaN: true }),
  perClass: fc.integer({ min: 1, max: 20 }),
  balanced: fc.boolean(),
  repeats: fc.integer({ min: 1, max: 4 }),
  rest: fc.constantFrom("drop", "pad")
}, { requiredKeys: [] })

const options = fc.record({
  labels,
  how,
  seed: fc.integer(),
  batchSize: fc.integer({ min: 1, max: 12 }),
  accumulate: fc.integer({ min: 1, max: 3 }),
  count: fc.integer({ min: 1, max: 4 })
}).map(({ accumulate, batchSize, count, how: asked, labels: of, seed }) => ({
  ...asked,
  stage: "pretrain",
  labels: of,
  seed,
  batchSize,
  accumulate,
  count
}))

const all = ({ batch, stepsPerEpoch }: Sampling.Sampler, epochs = 1) =>
  Array.from({ length: stepsPerEpoch * epochs }, (_, step) => batch(step))

const counts = (values: ReadonlyArray<number>) => {
  const found = new Map<number, number>()
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1)
  return found
}

describe("sampling", () => {
  it("by default is the permutation of each epoch, cut into batches", () => {
    fc.assert(fc.property(labels, fc.integer(), fc.integer({ min: 1, max: 12 }), (of, seed, batchSize) => {
      const sampler = Sampling.make({ stage: "pretrain", labels: of, seed, batchSize })
      assert.strictEqual(sampler.stepsPerEpoch, Math.floor(of.length / batchSize))
      all(sampler, 3).forEach(({ draws, epoch, places }, step) => {
        const first = (step % sampler.stepsPerEpoch) * batchSize
        const order = KeyedRandom.permutation({ seed, purpose: "pretrain/order", epoch, index: 0 }, of.length)
        assert.strictEqual(epoch, Math.floor(step / sampler.stepsPerEpoch))
        assert.deepStrictEqual(places, [...order.subarray(first, first + batchSize)])
        assert.deepStrictEqual(draws, places)
      })
    }))
  })

  it("gives a step the same images in whatever order steps are asked for", () => {
    fc.assert(fc.property(options, fc.array(fc.nat(40), { maxLength: 20 }), (asked, steps) => {
      const sampler = Sampling.make(asked)
      if (sampler.stepsPerEpoch === 0) return
      for (const step of steps) assert.deepStrictEqual(sampler.batch(step), Sampling.make(asked).batch(step))
    }))
  })

  it("gives readers parts that do not overlap and are together what one reader gets", () => {
    fc.assert(fc.property(options, fc.nat(20), (asked, step) => {
      const { batchSize, count } = asked
      const readers = Array.from({ length: count }, (_, index) => Sampling.make({ ...asked, shard: { index, count } }))
      const one = Sampling.make({ ...asked, batchSize: batchSize * count })
      assert.isTrue(readers.every(({ stepsPerEpoch }) => stepsPerEpoch === one.stepsPerEpoch))
      if (one.stepsPerEpoch === 0) return
      const { draws, places } = one.batch(step)
      readers.forEach((reader, index) => {
        const mine = places.flatMap((_, at) => at % count === index ? [at] : [])
        assert.deepStrictEqual(reader.batch(step).places, mine.map((at) => places[at]!))
        assert.deepStrictEqual(reader.batch(step).draws, mine.map((at) => draws[at]!))
      })
    }))
  })

  it("names no two showings of an epoch alike, and each by its image", () => {
    fc.assert(fc.property(options, (asked) => {
      const batches = all(Sampling.make(asked))
      const draws = batches.flatMap((batch) => batch.draws)
      assert.strictEqual(new Set(draws).size, draws.length)
      for (const batch of batches) {
        assert.deepStrictEqual(batch.draws.map((draw) => draw % asked.labels.length), batch.places)
      }
    }))
  })

  it("ends an epoch with a whole update", () => {
    fc.assert(fc.property(options, (asked) => {
      const { accumulate, batchSize } = asked
      const [many, one] = [asked, { ...asked, batchSize: batchSize * accumulate, accumulate: 1 }].map(Sampling.make)
      assert.strictEqual(many!.stepsPerEpoch, one!.stepsPerEpoch * accumulate)
      const shown = (sampler: Sampling.Sampler) => all(sampler).flatMap(({ places }) => places)
      assert.deepStrictEqual(shown(many!), shown(one!))
    }))
  })

  it("shows every used image when padded, and none twice more than another", () => {
    fc.assert(fc.property(options, (asked) => {
      const sampler = Sampling.make({ ...asked, balanced: false, repeats: 1, rest: "pad" })
      const shown = counts(all(sampler).flatMap(({ places }) => places))
      assert.strictEqual(shown.size, sampler.images)
      assert.isAtMost(Math.max(...shown.values()) - Math.min(...shown.values()), 1)
      const needed = asked.batchSize * asked.accumulate
      assert.isBelow(sampler.stepsPerEpoch * asked.batchSize - sampler.images, needed)
    }))
  })

  it("uses of each class what is asked, the same images in every stage, and fewer out of more", () => {
    fc.assert(fc.property(options, fc.double({ min: 0.05, max: 1, noNaN: true }), (asked, share) => {
      const used = (stage: string, part: Partial<Sampling.Options>) => {
        const { perClass: _, share: __, ...others } = asked
        const padded = { ...others, balanced: false, repeats: 1, rest: "pad" as const }
        return new Set(all(Sampling.make({ ...padded, stage, ...part })).flatMap(({ places }) => places))
      }
      const some = used("pretrain", { share })
      assert.deepStrictEqual(new Set([...some].toSorted()), new Set([...used("finetune", { share })].toSorted()))
      const every = used("pretrain", {})
      assert.isTrue([...some].every((place) => every.has(place)))
      const few = used("pretrain", { perClass: 2 })
      const more = used("pretrain", { perClass: 5 })
      assert.isTrue([...few].every((place) => more.has(place)))
      const inAll = counts(asked.labels)
      const inSome = counts([...some].map((place) => asked.labels[place]!))
      const inFew = counts([...few].map((place) => asked.labels[place]!))
      for (const [label, many] of inAll) {
        assert.strictEqual(inSome.get(label), Math.max(1, Math.round(share * many)))
        assert.strictEqual(inFew.get(label), Math.min(2, many))
      }
    }))
  })

  it("shows classes equally often when balanced, in an epoch to one and in a batch to two", () => {
    fc.assert(fc.property(options, (asked) => {
      const { batchSize, labels: of } = asked
      const sampler = Sampling.make({ ...asked, balanced: true, repeats: 1, rest: "drop" })
      const batches = all(sampler).map(({ places }) => places.map((place) => of[place]!))
      const spread = (shown: ReadonlyArray<number>) => {
        const found = counts(shown)
        const each = [...new Set(of)].map((label) => found.get(label) ?? 0)
        return Math.max(...each) - Math.min(...each)
      }
      assert.isAtMost(spread(batches.flat()), 1)
      for (const batch of batches) assert.isAtMost(spread(batch), 2)
      assert.isTrue(batches.every(({ length }) => length === batchSize))
    }))
  })

  it("shows of a class every image before one twice when balanced", () => {
    fc.assert(fc.property(options, (asked) => {
      const places = all(Sampling.make({ ...asked, balanced: true, repeats: 1, rest: "drop" }))
        .flatMap((batch) => batch.places)
      for (const label of new Set(asked.labels)) {
        const shown = counts(places.filter((place) => asked.labels[place] === label))
        const times = [...shown.values()]
        if (Math.max(0, ...times) < 2) continue
        assert.isAtMost(Math.max(...times) - Math.min(...times), 1)
      }
    }))
  })

  it("repeats each image in a row, in other views, and gives them to different readers", () => {
    fc.assert(fc.property(labels, fc.integer(), fc.integer({ min: 2, max: 4 }), (of, seed, repeats) => {
      const asked = { stage: "pretrain", labels: of, seed, repeats, batchSize: 1 }
      const places = all(Sampling.make(asked)).flatMap((batch) => batch.places)
      assert.strictEqual(places.length, of.length)
      places.forEach((place, at) => assert.strictEqual(place, places[at - at % repeats]))
      assert.strictEqual(new Set(places).size, Math.ceil(of.length / repeats))
      const readers = Array.from(
        { length: repeats },
        (_, index) => Sampling.make({ ...asked, shard: { index, count: repeats } })
      )
      for (let step = 0; step < readers[0]!.stepsPerEpoch; step++) {
        const together = readers.map((reader) => reader.batch(step))
        assert.strictEqual(new Set(together.flatMap((batch) => batch.places)).size, 1)
        assert.strictEqual(new Set(together.flatMap((batch) => batch.draws)).size, repeats)
      }
    }))
  })

  it("changes from epoch to epoch and from seed to seed", () => {
    const of = Array.from({ length: 40 }, (_, i) => i % 4)
    for (const balanced of [false, true]) {
      const order = (seed: number, epoch: number) =>
        Sampling.make({ stage: "pretrain", labels: of, seed, batchSize: 40, balanced }).batch(epoch).places
      assert.notDeepEqual(order(0, 0), order(0, 1))
      assert.notDeepEqual(order(0, 0), order(1, 0))
    }
  })

  it("refuses a reader beyond the count, and a share of nothing", () => {
    const asked = { stage: "pretrain", labels: [0, 1], seed: 0, batchSize: 1 }
    assert.throws(
      () => Sampling.make({ ...asked, shard: { index: 2, count: 2 } }),
      /from 0 to below its count 2, but 2 came/
    )
    assert.throws(
      () => Schema.decodeSync(Sampling.Sampling)({ share: 0 }),
      /a number above 0 and at most 1/
    )
  })
})
