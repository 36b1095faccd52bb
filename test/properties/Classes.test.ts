import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import * as Accuracy from "../../src/domain/evaluation/Accuracy.ts"
import * as Classes from "../../src/domain/evaluation/Classes.ts"
import * as Metrics from "../../src/domain/evaluation/Metrics.ts"
import * as ValidationSplit from "../../src/domain/evaluation/ValidationSplit.ts"

const shuffled = <A>(values: ReadonlyArray<A>) =>
  fc.shuffledSubarray([...values], { minLength: values.length, maxLength: values.length })

const scored = fc.uniqueArray(fc.string({ maxLength: 4 }), { minLength: 2, maxLength: 8 }).chain((classes) =>
  fc.record({
    classes: fc.constant(classes),
    permuted: shuffled(classes),
    names: fc.array(fc.constantFrom(...classes), { minLength: 2, maxLength: 12 })
  }).filter(({ names }) => new Set(names).size > 1)
).chain(({ classes, names, permuted }) =>
  fc.record({
    classes: fc.constant(classes),
    names: fc.constant(names),
    permuted: fc.constant(permuted),
    scores: fc.float32Array({
      minLength: names.length * classes.length,
      maxLength: names.length * classes.length,
      noNaN: true
    })
  })
)

const set = (name: string, classes: ReadonlyArray<string>, names: ReadonlyArray<string>): Classes.Labelled => ({
  name,
  classes,
  labels: Int32Array.from(names, (label) => classes.indexOf(label))
})

describe("classes meet", () => {
  it("by name: no order of a test's names changes a figure", () => {
    fc.assert(fc.property(scored, fc.constantFrom<Classes.Rule>("same", "fewer", "subset"), (given, rule) => {
      const { classes, names, permuted, scores } = given
      const train = set("train", classes, classes)
      const figure = (order: ReadonlyArray<string>) =>
        Accuracy.measure(Result.getOrThrow(Classes.meet(train, set("val", order, names), rule)), scores)
      assert.deepStrictEqual(figure(permuted), figure(classes))
      const labels = set("val", classes, names).labels
      if (rule !== "subset") {
        assert.strictEqual(figure(permuted).top1, Metrics.topK(scores, labels, classes.length, 1))
      }
    }))
  })

  it("and answers among fewer classes are right as often or more often", () => {
    fc.assert(fc.property(scored, ({ classes, names, scores }) => {
      const train = set("train", classes, classes)
      const figure = (rule: Classes.Rule) =>
        Accuracy.measure(Result.getOrThrow(Classes.meet(train, set("val", classes, names), rule)), scores)
      assert.isAtLeast(figure("subset").top1, figure("fewer").top1)
      assert.strictEqual(figure("subset").classes, new Set(names).size)
    }))
  })

  it("or are refused: a name that only one list has is named", () => {
    fc.assert(fc.property(scored, fc.nat(), ({ classes, names }, which) => {
      const other = classes.with(which % classes.length, "a new name")
      const found = Classes.meet(set("train", classes, classes), {
        ...set("val", classes, names),
        classes: other
      })
      assert.isTrue(Result.isFailure(found))
      if (Result.isSuccess(found)) return
      assert.deepInclude(found.failure.reason, {
        _tag: "ClassesDiffer",
        unknown: ["a new name"],
        missing: [classes[which % classes.length]!]
      })
      assert.include(found.failure.message, "\"a new name\"")
    }))
  })
})

describe("what is held out", () => {
  const labels = fc.int32Array({ min: 0, max: 4, maxLength: 80 })
  const names = ["ape", "bee", "cow", "dog", "eel"]

  it("and the rest are all images, a fifth of each class, by key alone", () => {
    fc.assert(fc.property(labels, fc.integer(), (all, seed) => {
      const split = (given: Pick<Classes.Labelled, "classes" | "labels">) =>
        ValidationSplit.split(given, { seed, purpose: "test" })
      const { held, rest } = split({ classes: names, labels: all })
      assert.deepStrictEqual([...held, ...rest].toSorted((a, b) => a - b), [...all.keys()])
      for (const [label, members] of Map.groupBy(all.keys(), (place) => all[place]!)) {
        const count = [...held].filter((place) => all[place] === label).length
        assert.strictEqual(count, members.length < 2 ? 0 : Math.max(1, Math.round(members.length / 5)))
      }
      const turned = { classes: names.toReversed(), labels: all.map((label) => 4 - label) }
      assert.deepStrictEqual(split(turned).held, held)
    }))
  })
})
