import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { readFileSync } from "node:fs"
import { assembled } from "../../scripts/kernels.ts"
import * as ColorJitter from "../../src/domain/pixels/ColorJitter.ts"
import * as Crop from "../../src/domain/pixels/Crop.ts"
import * as Normalize from "../../src/domain/pixels/Normalize.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as Resample from "../../src/domain/pixels/Resample.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Augment from "../../src/layers/images/views/Augment.ts"
import * as Views from "../../src/layers/images/views/Views.ts"

const side = fc.integer({ min: 1, max: 70 })
const filter = fc.constantFrom<Resample.Filter>("bilinear", "bicubic", "lanczos")
const noise = (width: number, height: number, index: number): Picture => {
  const { integer } = KeyedRandom.generator({ seed: 0, purpose: "noise", epoch: 0, index })
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, () => integer(0, 255)) }
}
const picture = fc.tuple(side, side, fc.nat()).map(([width, height, index]) => noise(width, height, index))
const factor = fc.double({ min: 0, max: 2, noNaN: true })
const changes = fc.tuple(
  fc.shuffledSubarray(["brightness", "contrast", "saturation"] as const),
  fc.tuple(factor, factor, factor)
).map(([properties, factors]) =>
  properties.map((property, i): ColorJitter.Change => ({ property, factor: factors[i]! }))
)
const part = fc.tuple(
  fc.double({ min: 0, max: 0.99, noNaN: true }),
  fc.double({ min: 0, max: 0.99, noNaN: true })
)

const within = (length: number, [low, share]: readonly [number, number]): readonly [number, number] => {
  const first = Math.floor(low * length)
  return [first, 1 + Math.floor(share * (length - first))]
}

const expected = (original: Picture, asked: Views.View): Picture => {
  const coloured = ColorJitter.apply(original, asked.changes)
  const turned = asked.mirrored ? Crop.flip(coloured) : coloured
  return Resample.resize(turned, asked.width, asked.height, asked.filter, asked.box)
}

const view = fc.record({
  picture,
  across: part,
  along: part,
  asked: fc.record({ changes, mirrored: fc.boolean(), width: side, height: side, filter })
}).map(({ across, along, asked, picture: original }) => {
  const [left, width] = within(original.width, across)
  const [top, height] = within(original.height, along)
  return { original, asked: { ...asked, box: { left, top, width, height } } }
})

describe("views by the kernel", () => {
  it("are made by what its source says", async () => {
    const file = new URL("../../src/layers/images/views/ViewsWasm.ts", import.meta.url)
    assert.strictEqual(readFileSync(file, "utf8"), await assembled("layers/images/views/Views"))
  })

  it("have the bytes of the operations one by one", () => {
    fc.assert(
      fc.property(view, ({ asked, original }) => {
        assert.deepStrictEqual(Views.view(original, asked), expected(original, asked))
      }),
      { numRuns: 1500 }
    )
  })

  it("have them where a part of them is wanted, and nothing else is computed", () => {
    fc.assert(
      fc.property(view, part, part, fc.constantFrom("neither", "width", "height"), (made, across, along, kept) => {
        const { asked, original } = made
        const width = kept === "width" ? asked.box.width : asked.width
        const height = kept === "height" ? asked.box.height : asked.height
        const [left, wide] = within(width, across)
        const [top, high] = within(height, along)
        const window = { left, top, width: wide, height: high }
        const wanted = Resample.cut(expected(original, { ...asked, width, height }), window)
        assert.deepStrictEqual(Views.view(original, { ...asked, width, height, window }), wanted)
        const { box, changes, filter: by, mirrored } = asked
        const all = Resample.whole(original)
        const turned = expected(original, {
          changes,
          mirrored,
          filter: by,
          box: all,
          width: all.width,
          height: all.height
        })
        assert.deepStrictEqual(Resample.resize(turned, width, height, by, box, window), wanted)
      }),
      { numRuns: 500 }
    )
  })

  it("are had of the centre of very thin pictures, whose enlarged form has no room", () => {
    const column = (height: number, from: number): Picture => ({
      width: 1,
      height,
      data: Uint8Array.from({ length: 3 * height }, (_, i) => (from + Math.trunc(i / 3)) * 37 % 256)
    })
    const lying = ({ data, height }: Picture): Picture => ({ width: height, height: 1, data })
    const config = { interpolation: "bicubic", evaluationCrop: 0.875 } as const
    const [thin, middle] = [column(300_000, 0), column(20, 149_990)]
    const wanted = Augment.evaluationView(middle, 224, config)
    assert.isAbove(new Set(wanted.data).size, 10)
    assert.deepStrictEqual(Augment.evaluationView(thin, 224, config), wanted)
    assert.deepStrictEqual(Crop.central(thin, 224, config), wanted)
    assert.deepStrictEqual(
      Augment.evaluationView(lying(thin), 224, config),
      Augment.evaluationView(lying(middle), 224, config)
    )
  })

  it("have them where an axis, or both, keep their length", () => {
    fc.assert(
      fc.property(view, fc.constantFrom("width", "height", "both"), ({ asked, original }, kept) => {
        const width = kept === "height" ? asked.width : asked.box.width
        const height = kept === "width" ? asked.height : asked.box.height
        const same = { ...asked, width, height }
        assert.deepStrictEqual(Views.view(original, same), expected(original, same))
      }),
      { numRuns: 300 }
    )
  })

  it("are written into batches as values from 0 to 1 and standardised", () => {
    const deviation = fc.double({ min: 0.05, max: 1, noNaN: true })
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    const channels = fc.record({ mean: fc.tuple(share, share, share), std: fc.tuple(deviation, deviation, deviation) })
    fc.assert(fc.property(fc.integer({ min: 1, max: 21 }), fc.nat(), channels, (size, index, by) => {
      const views = [noise(size, size, index), noise(size, size, index + 1)]
      const { normalised, unit } = Augment.batch(views, size, by)
      assert.deepStrictEqual(unit.data, Normalize.unit(views))
      assert.deepStrictEqual(normalised.data, Normalize.standardise(unit.data, size * size, by))
    }))
  })

  it("are refused where a batch has another size", () => {
    const channels = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
    assert.throws(() => Augment.batch([noise(8, 8, 0), noise(8, 9, 0)], 8, channels), /of 8 × 8 .* view of 8 × 9/)
  })

  it("have them for pictures larger than the memory that is kept", () => {
    const original = {
      width: 5000,
      height: 4500,
      data: Buffer.alloc(5000 * 4500 * 3, Uint8Array.from({ length: 9973 }, (_, i) => i * 31 % 251))
    }
    const asked: Views.View = {
      changes: [],
      mirrored: true,
      box: { left: 30, top: 4000, width: 4900, height: 500 },
      width: 20,
      height: 10,
      filter: "lanczos"
    }
    assert.deepStrictEqual(Views.view(original, asked), expected(original, asked))
  })
})
