import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { Fidelity, KeyedRandom, Psnr, Ssim } from "../../src/domain/index.ts"

const sizes = fc.record({
  channels: fc.integer({ min: 1, max: 3 }),
  height: fc.integer({ min: 11, max: 15 }),
  width: fc.integer({ min: 11, max: 15 })
})

const picture = ({ channels, height, width }: Ssim.Size, seed: number): Float32Array => {
  const { uniform } = KeyedRandom.generator({ seed, purpose: "picture", epoch: 0, index: 0 })
  return Float32Array.from({ length: channels * height * width }, () => uniform())
}

const slow = (a: Float32Array, b: Float32Array, { channels, height, width }: Ssim.Size): number => {
  const weights = Array.from(
    { length: 121 },
    (_, i) => Math.exp(-(((i % 11) - 5) ** 2 + (Math.floor(i / 11) - 5) ** 2) / 4.5)
  )
  const total = weights.reduce((x, y) => x + y)
  const found: Array<number> = []
  for (let channel = 0; channel < channels; channel++) {
    for (let top = 0; top + 11 <= height; top++) {
      for (let left = 0; left + 11 <= width; left++) {
        const cut = (values: Float32Array) =>
          weights.map((_, i) => values[(channel * height + top + Math.floor(i / 11)) * width + left + i % 11]!)
        const [x, y] = [cut(a), cut(b)]
        const mean = (values: ReadonlyArray<number>) =>
          values.reduce((sum, value, i) => sum + value * weights[i]! / total, 0)
        const [mx, my] = [mean(x), mean(y)]
        const covariance = (p: ReadonlyArray<number>, mp: number, q: ReadonlyArray<number>, mq: number) =>
          mean(p.map((value, i) => (value - mp) * (q[i]! - mq)))
        const [vx, vy, xy] = [covariance(x, mx, x, mx), covariance(y, my, y, my), covariance(x, mx, y, my)]
        found.push(
          (2 * mx * my + 1e-4) * (2 * xy + 9e-4) / ((mx ** 2 + my ** 2 + 1e-4) * (vx + vy + 9e-4))
        )
      }
    }
  }
  return found.reduce((x, y) => x + y) / found.length
}

const stripes = ({ channels, height, width }: Ssim.Size, kind: number) =>
  Float64Array.from(
    { length: channels * height * width },
    (_, i) => (i * (2 * kind + 7)) % (31 + kind) / (30 + kind)
  )

const others = (size: Ssim.Size, of: "other" | "like") => {
  const [a, b] = [stripes(size, 0), stripes(size, 5)]
  return of === "other" ? b : a.map((value, i) => Math.min(1, Math.max(0, value * 0.8 + 0.1 * b[i]!)))
}

describe("the numbers of scikit-image 0.26", () => {
  it.each(
    [
      [3, 16, 20, "other", -0.055852331289755495, 7.5255880919228595],
      [3, 16, 20, "like", 0.962965111526402, 21.600800768656796],
      [1, 11, 11, "other", 0.12129672317162679, 7.521935420864326],
      [1, 11, 11, "like", 0.9682224210638678, 21.623255450649943],
      [3, 48, 48, "other", 0.012560849207791309, 7.525528888234297],
      [3, 48, 48, "like", 0.9646434044697475, 21.591622494455592]
    ] as const
  )("%i channels of %i × %i, %s", (channels, height, width, of, ssim, psnr) => {
    const size = { channels, height, width }
    const [a, b] = [stripes(size, 0), others(size, of)]
    assert.closeTo(Ssim.ssim(a, b, size), ssim, 1e-9)
    assert.closeTo(Psnr.psnr(Psnr.meanSquaredError(a, b)), psnr, 1e-9)
  })

  it("8 bits", () => {
    const size = { channels: 3, height: 24, width: 24 }
    const a = stripes(size, 2).map((value) => Math.round(255 * value))
    const b = a.map((value, i) => Math.min(255, Math.max(0, value + (i % 3 === 0 ? 20 : -10))))
    assert.closeTo(Ssim.ssim(a, b, size, 255), 0.9770520357650043, 1e-9)
    assert.closeTo(Psnr.psnr(Psnr.meanSquaredError(a, b), 255), 25.120503652039293, 1e-9)
  })
})

describe("SSIM", () => {
  it("is what its definition says, window by window", () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size, seed) => {
        const [a, b] = [picture(size, seed), picture(size, seed + 1)]
        assert.closeTo(Ssim.ssim(a, b, size), slow(a, b, size), 1e-9)
      }),
      { numRuns: 20 }
    )
  })

  it("is symmetric, 1 for equal pictures, and smaller than 1 for others", () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size, seed) => {
        const [a, b] = [picture(size, seed), picture(size, seed + 1)]
        const found = Ssim.ssim(a, b, size)
        assert.closeTo(found, Ssim.ssim(b, a, size), 1e-12)
        assert.closeTo(Ssim.ssim(a, a, size), 1, 1e-12)
        assert.isBelow(found, 1)
        assert.isAtLeast(found, -1)
      }),
      { numRuns: 20 }
    )
  })

  it("does not depend on the unit of values", () => {
    const size = { channels: 1, height: 12, width: 12 }
    const [a, b] = [picture(size, 1), picture(size, 2)]
    const scaled = (values: Float32Array) => Float64Array.from(values, (value) => 255 * value)
    assert.closeTo(Ssim.ssim(scaled(a), scaled(b), size, 255), Ssim.ssim(a, b, size), 1e-9)
  })

  it("refuses pictures that are smaller than a window, or of another size", () => {
    const small = { channels: 1, height: 10, width: 40 }
    assert.throws(() => Ssim.ssim(picture(small, 0), picture(small, 0), small), /smaller than a window of 11/)
    const size = { channels: 3, height: 12, width: 12 }
    assert.throws(() => Ssim.ssim(picture(size, 0), picture(small, 0), size), /are not 3 × 12 × 12/)
  })
})

describe("PSNR", () => {
  it("falls by 20 dB when differences grow tenfold, in any range", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 0.1, noNaN: true }), fc.integer({ min: 1, max: 255 }), (error, range) => {
        assert.closeTo(Psnr.psnr(error) - Psnr.psnr(100 * error), 20, 1e-9)
        assert.closeTo(Psnr.psnr(error * range ** 2, range), Psnr.psnr(error), 1e-9)
      })
    )
  })

  it("compares the values at places alone", () => {
    const [a, b] = [Float32Array.of(0, 1, 0.5, 0), Float32Array.of(1, 1, 0.25, 0)]
    assert.strictEqual(Psnr.meanSquaredError(a, b), 1.0625 / 4)
    assert.strictEqual(Psnr.meanSquaredError(a, b, [1, 2]), 0.0625 / 2)
    assert.throws(() => Psnr.meanSquaredError(a, b, []), /0 of them compared/)
    assert.throws(() => Psnr.meanSquaredError(a, b.slice(1)), /4 and 3 values/)
  })
})

describe("a tally of fidelities", () => {
  const single = fc.record({
    psnr: fc.double({ min: -20, max: 99, noNaN: true }),
    ssim: fc.double({ min: -1, max: 1, noNaN: true })
  })

  it("has the mean and the interval of all images", () => {
    fc.assert(
      fc.property(fc.array(single, { minLength: 2, maxLength: 30 }), (all) => {
        const tally = Fidelity.tally()
        all.forEach(tally.add)
        const { psnr } = tally.figures()
        const values = all.map((one) => one.psnr)
        const mean = values.reduce((a, b) => a + b) / values.length
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
        assert.closeTo(psnr.mean, mean, 1e-9)
        assert.closeTo(psnr.interval![1] - psnr.mean, 1.959964 * Math.sqrt(variance / values.length), 1e-4)
        assert.closeTo(psnr.mean - psnr.interval![0], psnr.interval![1] - psnr.mean, 1e-9)
      })
    )
  })

  it("has no interval for one image, and counts equal pictures with 100 dB", () => {
    const tally = Fidelity.tally()
    tally.add({ psnr: Infinity, ssim: 1 })
    assert.deepStrictEqual(tally.figures(), { psnr: { mean: 100 }, ssim: { mean: 1 } })
  })
})
