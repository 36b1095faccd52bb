import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Corruption from "../../src/domain/corruptions/Corruption.ts"
import * as Classes from "../../src/domain/evaluation/Classes.ts"
import * as CorruptionError from "../../src/domain/evaluation/CorruptionError.ts"
import * as ImageNetSubset from "../../src/domain/evaluation/ImageNetSubset.ts"
import * as PaperTables from "../../src/domain/evaluation/PaperTables.ts"
import * as RobustnessReport from "../../src/domain/evaluation/RobustnessReport.ts"
import * as RobustnessPage from "../../src/pipelines/report/RobustnessPage.ts"

const figure = (share: number) => ({ images: 50, share, interval: [share / 2, (1 + share) / 2] as const })

const vit = { imageSize: 224, patchSize: 16, width: 768, depth: 12 }
const paper = PaperTables.counterpart({ verb: "robustness", vit }, { split: "imagenet-a", classes: 200 })!

const made = (
  kinds: ReadonlyArray<Corruption.Kind>,
  severities: ReadonlyArray<Corruption.Severity> = Corruption.Severity.literals
) =>
  RobustnessReport.make({
    network: "<finetune>",
    measure: "top-1",
    clean: "val",
    sets: [{ name: "val", ...figure(0.9) }, { name: "imagenet-a", ...figure(0.4), paper }],
    corruptions: kinds.flatMap((kind) =>
      severities.map((severity) => ({ kind, severity, ...figure(0.9 - severity / 10) }))
    )
  })

describe("the report of robustness", () => {
  it("has the mean corruption errors of all kinds at all severities alone", () => {
    const whole = made(Corruption.kinds)
    const [noise] = whole.kinds
    assert.closeTo(noise!.error, 0.4, 1e-12)
    assert.closeTo(noise!.ce!, 0.4 / 0.886428, 1e-12)
    assert.closeTo(noise!.relativeCe!, 0.3 / (0.886428 - CorruptionError.ALEXNET_CLEAN), 1e-12)
    assert.isDefined(whole.mce)
    assert.isDefined(whole.relativeMce)
    assert.deepStrictEqual(Schema.decodeUnknownSync(RobustnessReport.RobustnessReport)(whole), whole)
    for (const part of [made(Corruption.kinds.slice(1)), made(Corruption.kinds, [1, 2])]) {
      assert.isUndefined(part.mce)
    }
    assert.isUndefined(made(["saturate"]).kinds[0]!.ce)
    assert.strictEqual(made([...Corruption.kinds, "saturate"]).mce, whole.mce)
  })

  it("becomes a page with every figure, and the paper's number beside it", () => {
    const page = RobustnessPage.render(made(Corruption.kinds))
    assert.include(page, "<h1>Robustness of &lt;finetune&gt;</h1>")
    assert.include(page, "<td class=\"number muted\">54.4 (table 3, ViT-B/16)</td>")
    assert.match(page, /<th scope="col" class="number muted">paper, ImageNet-1k, %<\/th>/)
    assert.lengthOf(page.match(/<g class="point"/g)!, 2 + 15 * 5)
    assert.lengthOf(page.match(/<circle class="paper"/g)!, 1)
    assert.match(page, /mCE [\d.]+ %, relative mCE [\d.]+ %/)
    assert.notMatch(page, /undefined|NaN/)
  })
})

describe("classes by WordNet numbers", () => {
  it("are at the same numbers of a subset wherever they stand in a list", () => {
    const ascending = Array.from({ length: 1000 }, (_, i) => `n${String(10_000_000 + 7 * i)}`)
    const shuffled = ascending.map((_, i) => ascending[(i * 389 + 11) % 1000]!)
    for (const part of ["imagenet-a", "imagenet-r"] as const) {
      assert.deepStrictEqual(ImageNetSubset.places(ascending, part), ImageNetSubset.classes(part))
      const places = ImageNetSubset.places(shuffled, part)!
      assert.deepStrictEqual(places, places.toSorted())
      assert.deepStrictEqual(
        Array.from(places, (place) => shuffled[place]!).toSorted(),
        Array.from(ImageNetSubset.classes(part), (number) => ascending[number]!)
      )
    }
    assert.isUndefined(ImageNetSubset.places(ascending.slice(1), "imagenet-a"))
  })

  it("are known beside the names, or are the names", () => {
    const numbers = ["n00000002", "n00000001"]
    assert.deepStrictEqual(ImageNetSubset.numbersOf({ classes: ["crane", "crane"], synsets: numbers }), numbers)
    assert.deepStrictEqual(ImageNetSubset.numbersOf({ classes: numbers }), numbers)
    assert.isUndefined(ImageNetSubset.numbersOf({ classes: ["crane", "n00000001"] }))
    assert.isUndefined(ImageNetSubset.numbersOf({ classes: [numbers[0]!, numbers[0]!] }))
    assert.isUndefined(ImageNetSubset.numbersOf({ classes: ["crane"], synsets: numbers }))
  })
})

describe("classes in the order of WordNet", () => {
  const learned = Array.from({ length: 1000 }, (_, i) => `class ${i}`)
  const names = Array.from({ length: 200 }, (_, i) => `n${String(10_000_000 + 7 * i)}`)
  const set = { name: "imagenet-r", classes: names, labels: Int32Array.of(0, 199) }

  it("are the 200 of the subset, or all 1000", () => {
    const numbers = ImageNetSubset.classes("imagenet-r")
    const found = ImageNetSubset.inOrder(set, learned, "imagenet-r")!
    assert.deepStrictEqual(found.labels, Int32Array.of(numbers[0]!, numbers[199]!))
    const met = Result.getOrThrow(Classes.meet({ name: "the classifier", classes: learned }, found, "subset"))
    assert.deepStrictEqual(met.among, numbers)
    const all = { ...set, classes: learned.map((_, i) => `n${String(10_000_000 + i)}`) }
    assert.deepStrictEqual(ImageNetSubset.inOrder(all, learned, undefined)!.labels, set.labels)
  })

  it("are those of folders with WordNet's numbers alone, and of as many", () => {
    assert.isUndefined(ImageNetSubset.inOrder({ ...set, classes: names.slice(1) }, learned, "imagenet-r"))
    const turned = ImageNetSubset.inOrder({ ...set, classes: names.toReversed() }, learned, "imagenet-r")!
    const numbers = ImageNetSubset.classes("imagenet-r")
    assert.deepStrictEqual(turned.labels, Int32Array.of(numbers[199]!, numbers[0]!))
    assert.isUndefined(ImageNetSubset.inOrder({ ...set, classes: learned.slice(0, 200) }, learned, "imagenet-r"))
    assert.isUndefined(ImageNetSubset.inOrder(set, learned.slice(1), "imagenet-r"))
  })
})
