import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as BoundedHeaps from "../../src/domain/values/BoundedHeaps.ts"
import * as CodeScan from "../../src/pipelines/atlas/CodeScan.ts"

const SIZES = { codes: 5, patches: 4, classes: 3, lists: { nearest: 3, farthest: 2, misses: 3, sample: 2 } }

const code = fc.nat(SIZES.codes - 1)
const distance = fc.integer({ min: 0, max: 8 }).map((n) => n / 8)

const image = fc.record({
  label: fc.nat(SIZES.classes - 1),
  patches: fc.array(fc.record({ code, second: code, distance, more: distance }), {
    minLength: SIZES.patches,
    maxLength: SIZES.patches
  })
})

const chosen = fc.array(image, { maxLength: 30 }).map((images) =>
  images.map(({ label, patches }, index): Required<CodeScan.Chosen> => ({
    index,
    label,
    codes: Int32Array.from(patches, (one) => one.code),
    distances: Float32Array.from(patches, (one) => one.distance),
    seconds: Int32Array.from(patches, (one) => one.second),
    secondDistances: Float32Array.from(patches, (one) => one.distance + one.more)
  }))
)

const scanned = (images: ReadonlyArray<CodeScan.Chosen>, scan = CodeScan.make(SIZES)) => {
  for (const one of images) CodeScan.add(scan, one)
  return scan
}

const lists = (scan: CodeScan.CodeScan) =>
  CodeScan.NAMES.map((name) => Array.from({ length: SIZES.codes }, (_, code) => CodeScan.places(scan, name, code)))

/** The best patch of each image, of all that have a key, in order. */
const sorted = (
  images: ReadonlyArray<Required<CodeScan.Chosen>>,
  of: (image: Required<CodeScan.Chosen>, patch: number) => readonly [key: number, value: number],
  key: number
) =>
  images.flatMap((one): ReadonlyArray<BoundedHeaps.Entry> => {
    const [best] = Array.from({ length: SIZES.patches }, (_, patch) => ({ patch, found: of(one, patch) }))
      .filter(({ found }) => found[0] === key)
      .toSorted((a, b) => a.found[1] - b.found[1] || a.patch - b.patch)
    return best === undefined ? [] : [{ value: best.found[1], image: one.index, patch: best.patch }]
  }).toSorted((a, b) => a.value - b.value || a.image - b.image)

describe("CodeScan", () => {
  it("has the lists of a full sort, with a patch of each image at most", () => {
    fc.assert(fc.property(chosen, (images) => {
      const scan = scanned(images)
      for (let code = 0; code < SIZES.codes; code++) {
        const nearest = sorted(images, (one, at) => [one.codes[at]!, one.distances[at]!], code)
        assert.deepStrictEqual(CodeScan.places(scan, "nearest", code), nearest.slice(0, SIZES.lists.nearest))
        const farthest = sorted(images, (one, at) => [one.codes[at]!, -one.distances[at]!], code)
        assert.deepStrictEqual(
          CodeScan.places(scan, "farthest", code).map((one) => ({ ...one, value: -one.value })),
          farthest.slice(0, SIZES.lists.farthest)
        )
        const misses = sorted(
          images,
          (one, at) => [one.seconds[at]!, one.secondDistances[at]! - one.distances[at]!],
          code
        )
        assert.deepStrictEqual(CodeScan.places(scan, "misses", code), misses.slice(0, SIZES.lists.misses))
      }
    }))
  })

  it("counts every patch once: by code, by place and by class", () => {
    fc.assert(fc.property(chosen, (images) => {
      const scan = scanned(images)
      const all = images.flatMap(({ codes, label }) => Array.from(codes, (code, patch) => ({ code, patch, label })))
      const count = (is: (one: typeof all[number]) => boolean) => all.filter(is).length
      for (let code = 0; code < SIZES.codes; code++) {
        assert.strictEqual(scan.counts[code], count((one) => one.code === code))
        for (let patch = 0; patch < SIZES.patches; patch++) {
          const found = scan.positions[code * SIZES.patches + patch]
          assert.strictEqual(found, count((one) => one.code === code && one.patch === patch))
        }
        for (let label = 0; label < SIZES.classes; label++) {
          const found = scan.byClass[code * SIZES.classes + label]
          assert.strictEqual(found, count((one) => one.code === code && one.label === label))
        }
      }
    }))
  })

  it("is the same in parts, over files, and in any order of images", () => {
    fc.assert(fc.property(chosen, fc.nat(30), (images, at) => {
      const whole = scanned(images)
      const first = scanned(images.slice(0, at))
      const second = CodeScan.make(SIZES)
      assert.isUndefined(CodeScan.restore(second, CodeScan.toTensors(first)))
      scanned(images.slice(at), second)
      assert.deepStrictEqual(lists(second), lists(whole))
      assert.deepStrictEqual(CodeScan.toTensors(second), CodeScan.toTensors(whole))
      const turned = scanned(images.toReversed())
      assert.deepStrictEqual(lists(turned), lists(whole))
      assert.deepStrictEqual(turned.positions, whole.positions)
    }))
  })

  it("names the array of another size", () => {
    const other = CodeScan.make({ ...SIZES, lists: { ...SIZES.lists, misses: 4 } })
    assert.strictEqual(CodeScan.restore(CodeScan.make(SIZES), CodeScan.toTensors(other)), "misses.images")
    const { counts: _, ...rest } = CodeScan.toTensors(other)
    assert.strictEqual(CodeScan.restore(CodeScan.make(SIZES), rest), "counts")
  })
})
