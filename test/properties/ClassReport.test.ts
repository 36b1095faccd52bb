import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import * as Accuracy from "../../src/domain/evaluation/Accuracy.ts"
import * as Classes from "../../src/domain/evaluation/Classes.ts"
import * as ClassReport from "../../src/domain/evaluation/ClassReport.ts"

const images = fc.array(
  fc.record({
    label: fc.integer({ min: 0, max: 3 }),
    scores: fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 4, maxLength: 4 })
  }),
  { minLength: 1, maxLength: 30 }
)

const given = fc.record({ images, cut: fc.nat(30), rule: fc.constantFrom<Classes.Rule>("fewer", "subset") })

const names = ["ant", "bee", "cat", "dog"]

describe("the report of a classifier", () => {
  it("is that of a slow count, however the logits arrive", () => {
    fc.assert(fc.property(given, ({ cut, images, rule }) => {
      fc.pre(new Set(images.map(({ label }) => label)).size > 1)
      const labels = Int32Array.from(images, ({ label }) => label)
      const set = { name: "val", classes: names, labels }
      const met = Result.getOrThrow(Classes.meet({ name: "train", classes: names }, set, rule))
      const answers = met.among === undefined ? [0, 1, 2, 3] : Array.from(met.among)
      const { add, report } = ClassReport.tally(met)
      const places = Array.from(images.keys())
      for (const part of [places.slice(0, cut), places.slice(cut)]) {
        add(Float32Array.from(part.flatMap((place) => images[place]!.scores)), part)
      }
      const found = report()
      const rows = images.map(({ label, scores }) => {
        const best = Math.max(...answers.map((answer) => scores[answer]!))
        const total = answers.reduce((sum, answer) => sum + Math.exp(scores[answer]!), 0)
        return {
          own: names[label]!,
          as: names[answers.find((answer) => scores[answer] === best)!]!,
          loss: Math.log(total) - scores[label]!
        }
      })
      assert.closeTo(found.loss, rows.reduce((sum, { loss }) => sum + loss, 0) / rows.length, 1e-9)
      assert.deepStrictEqual(
        found.perClass,
        answers.map((answer) => {
          const own = rows.filter((row) => row.own === names[answer])
          return { class: names[answer]!, images: own.length, right: own.filter((row) => row.as === row.own).length }
        })
      )
      for (const { as, class: name, images: count } of found.confusions) {
        assert.notStrictEqual(name, as)
        assert.strictEqual(count, rows.filter((row) => row.own === name && row.as === as).length)
      }
      const wrong = found.confusions.map((one) => one.images)
      assert.deepStrictEqual(wrong, wrong.toSorted((a, b) => b - a))
      const right = found.perClass.reduce((sum, one) => sum + one.right, 0)
      assert.strictEqual(wrong.reduce((a, b) => a + b, 0) + right, rows.length)
      const { top1 } = Accuracy.measure(met, Float32Array.from(images.flatMap(({ scores }) => scores)))
      assert.closeTo(top1, right / rows.length, 1e-12)
    }))
  })
})
