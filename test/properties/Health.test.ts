import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { Matrix, SingularValueDecomposition } from "ml-matrix"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Diagnosis from "../../src/domain/health/Diagnosis.ts"
import * as HealthFigure from "../../src/domain/health/HealthFigure.ts"
import * as LogFigures from "../../src/domain/health/LogFigures.ts"
import * as Codebook from "../../src/domain/method/Codebook.ts"
import * as EffectiveRank from "../../src/domain/method/EffectiveRank.ts"
import * as FeatureCollapse from "../../src/domain/method/FeatureCollapse.ts"
import * as Moments from "../../src/domain/method/Moments.ts"
import * as PositionUse from "../../src/domain/method/PositionUse.ts"

const number = fc.integer({ min: -1000, max: 1000 }).map((n) => n / 100)

const matrices = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 2, max: 12 })).chain(([width, rows]) =>
  fc.record({
    width: fc.constant(width),
    rows: fc.array(fc.array(number, { minLength: width, maxLength: width }), { minLength: rows, maxLength: rows })
  })
)

const flat = (rows: ReadonlyArray<ReadonlyArray<number>>) => Float32Array.from(rows.flat())

const isZero = (rows: ReadonlyArray<ReadonlyArray<number>>) => rows.flat().every((value) => value === 0)

const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

const units = (rows: ReadonlyArray<ReadonlyArray<number>>) =>
  rows.map((row) => {
    const length = Math.sqrt(dot(row, row))
    return length === 0 ? row : row.map((value) => value / length)
  })

const average = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

const rankOf = (width: number, rows: ReadonlyArray<ReadonlyArray<number>>) => {
  const gram = EffectiveRank.begin(width)
  for (const row of rows) EffectiveRank.add(gram, Float32Array.from(row))
  return EffectiveRank.of(gram)
}

describe("the effective rank", () => {
  it("is that of the singular values", () => {
    fc.assert(fc.property(matrices.filter(({ rows }) => !isZero(rows)), ({ rows, width }) => {
      const single = rows.map((row) => Array.from(Float32Array.from(row)))
      const values = new SingularValueDecomposition(new Matrix(single), { autoTranspose: true }).diagonal
      const total = values.reduce((sum, value) => sum + value, 0)
      const entropy = values.map((value) => value / total).reduce(
        (sum, p) => p > 1e-12 ? sum - p * Math.log(p) : sum,
        0
      )
      assert.closeTo(rankOf(width, rows), Math.exp(entropy), 1e-4)
    }))
  })

  it("lies between 1 and the smaller side, and neither scale nor order changes it", () => {
    fc.assert(fc.property(matrices.filter(({ rows }) => !isZero(rows)), ({ rows, width }) => {
      const rank = rankOf(width, rows)
      assert.isAtLeast(rank, 1 - 1e-9)
      assert.isAtMost(rank, Math.min(width, rows.length) + 1e-6)
      assert.closeTo(rankOf(width, rows.toReversed().map((row) => row.map((value) => 8 * value))), rank, 1e-6)
    }))
  })

  it("is 0 without vectors, 1 of a line, and all of them for vectors at right angles", () => {
    assert.strictEqual(rankOf(3, []), 0)
    assert.strictEqual(rankOf(2, [[0, 0]]), 0)
    assert.closeTo(rankOf(3, [[1, 2, 3], [2, 4, 6]]), 1, 1e-9)
    assert.closeTo(rankOf(3, [[0, 5, 0], [5, 0, 0], [0, 0, 5]]), 3, 1e-9)
  })
})

describe("the collapse of features", () => {
  it("is the mean over all pairs, and the deviation of unit vectors", () => {
    fc.assert(fc.property(matrices, ({ rows, width }) => {
      const sums = FeatureCollapse.begin(width)
      FeatureCollapse.add(sums, flat(rows.slice(0, 1)))
      FeatureCollapse.add(sums, flat(rows.slice(1)))
      const all = units(rows)
      const pairs = all.flatMap((a, i) => all.flatMap((b, j) => i === j ? [] : [dot(a, b)]))
      assert.closeTo(FeatureCollapse.similarity(sums), average(pairs), 1e-5)
      const deviations = Array.from({ length: width }, (_, i) => {
        const column = all.map((row) => row[i]!)
        return Math.sqrt(average(column.map((value) => (value - average(column)) ** 2)))
      })
      assert.closeTo(FeatureCollapse.spread(sums), average(deviations) * Math.sqrt(width), 1e-3)
    }))
  })

  it("is whole when all images are alike, and absent when they stand at right angles", () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 9 }), (row) => {
      const [alike, apart] = [FeatureCollapse.begin(row.length), FeatureCollapse.begin(row.length)]
      for (let i = 1; i <= row.length; i++) {
        FeatureCollapse.add(alike, Float32Array.from(row, (value) => i * value))
        FeatureCollapse.add(apart, Float32Array.from(row, (value, j) => j === i - 1 ? value : 0))
      }
      assert.closeTo(FeatureCollapse.similarity(alike), 1, 1e-6)
      assert.closeTo(FeatureCollapse.spread(alike), 0, 1e-3)
      assert.closeTo(FeatureCollapse.similarity(apart), 0, 1e-9)
      assert.isAbove(FeatureCollapse.spread(apart), 0.7)
    }))
  })
})

describe("moments", () => {
  it("are those of all numbers", () => {
    fc.assert(fc.property(fc.array(number, { minLength: 1 }), (values) => {
      const moments = Moments.begin()
      for (const value of values) Moments.add(moments, value)
      const mean = average(values)
      assert.closeTo(moments.mean, mean, 1e-9)
      assert.closeTo(Moments.deviation(moments), Math.sqrt(average(values.map((value) => (value - mean) ** 2))), 1e-9)
      assert.deepStrictEqual([moments.least, moments.most], [Math.min(...values), Math.max(...values)])
    }))
  })
})

const coded = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 2, max: 6 })).chain(([positions, size]) =>
  fc.record({
    positions: fc.constant(positions),
    size: fc.constant(size),
    images: fc.array(fc.array(fc.nat(size - 1), { minLength: positions, maxLength: positions }), {
      minLength: 1,
      maxLength: 30
    })
  })
)

describe("the use of codes by position", () => {
  const usedBy = ({ images, positions, size }: {
    readonly positions: number
    readonly size: number
    readonly images: ReadonlyArray<ReadonlyArray<number>>
  }) => {
    const use = PositionUse.begin(positions, size)
    for (const codes of images) PositionUse.add(use, Int32Array.from(codes))
    return use
  }

  it("counts what is there, and tells the mutual information less chance", () => {
    fc.assert(fc.property(coded, (given) => {
      const { images, positions, size } = given
      const use = usedBy(given)
      const counts = Codebook.count(images.flat(), size)
      assert.deepStrictEqual([...PositionUse.counts(use)], [...counts])
      const each = Array.from({ length: positions }, (_, at) => Codebook.count(images.map((codes) => codes[at]!), size))
      assert.deepStrictEqual(PositionUse.perplexities(use), each.map(Codebook.perplexity))
      const total = images.length * positions
      let information = 0
      for (const one of each) {
        one.forEach((count, code) => {
          const [p, q] = [count / total, counts[code]! / total / positions]
          if (count > 0) information += p * Math.log(p / q)
        })
      }
      const entropy = Codebook.entropy(counts)
      const chance = (positions - 1) * (Codebook.usage(counts) - 1) / (2 * total)
      const expected = entropy === 0 ? 0 : Math.min(1, Math.max(0, (information - chance) / entropy))
      assert.closeTo(PositionUse.told(use), expected, 1e-9)
    }))
  })
})

describe("rare codes", () => {
  it("are used codes below a share of even use", () => {
    const counts = fc.array(fc.nat(100), { minLength: 1, maxLength: 40 })
    fc.assert(fc.property(counts, fc.double({ min: 0, max: 1, noNaN: true }), (all, share) => {
      const even = all.reduce((sum, count) => sum + count, 0) / all.length
      assert.strictEqual(Codebook.rare(all, share), all.filter((count) => count > 0 && count < share * even).length)
      assert.isAtMost(Codebook.rare(all, share), Codebook.usage(all))
      assert.strictEqual(Codebook.rare(all, 0), 0)
    }))
  })
})

const { pretrain, tokenizer } = Presets.tiny

const namesWith = (stages: ReadonlyArray<string>) =>
  HealthFigure.Name.literals.filter((name) => stages.includes(name) && HealthFigure.all[name].band !== undefined)

const OF_BACKBONE = ["tokenSimilarity", "tokenSpread", "featureRank", "lossOverEntropy", "accuracyOverChance"]
const ofBackbone = namesWith(OF_BACKBONE)
const ofTokenizer = namesWith(HealthFigure.Name.literals.filter((name) => !OF_BACKBONE.includes(name)))

const inBand = (name: HealthFigure.Name): number => {
  const { least, most } = HealthFigure.all[name].band!
  return least ?? most!
}

const outOfBand = (name: HealthFigure.Name): number => {
  const { least, most } = HealthFigure.all[name].band!
  return least === undefined ? most! * 1.01 : least * 0.99
}

describe("a diagnosis", () => {
  const some = (names: ReadonlyArray<HealthFigure.Name>) => fc.subarray(Array.from(names))
  const cases = fc.oneof(
    fc.tuple(fc.constant(ofTokenizer), some(ofTokenizer)),
    fc.tuple(fc.constant(ofBackbone), some(ofBackbone))
  )

  it("shows every figure that left its band as evidence, and accuses nothing else", () => {
    fc.assert(fc.property(cases, ([names, ill]) => {
      const figures = Object.fromEntries(
        names.map((name) => [name, ill.includes(name) ? outOfBand(name) : inBand(name)])
      )
      const findings = names === ofTokenizer
        ? Diagnosis.ofTokenizer(tokenizer, figures)
        : Diagnosis.ofBackbone(pretrain, figures)
      const evidence = findings.flatMap((finding) => finding.evidence)
      for (const name of names) {
        const shown = evidence.some((one) => one.startsWith(`${HealthFigure.all[name].title}: `))
        assert.strictEqual(shown, ill.includes(name), name)
      }
      assert.strictEqual(findings.length === 0, ill.length === 0)
      for (const { change, evidence } of findings) {
        assert.isNotEmpty(change)
        assert.isNotEmpty(evidence)
      }
    }))
  })

  it("accuses nothing that was not measured", () => {
    assert.deepStrictEqual(Diagnosis.ofTokenizer(tokenizer, {}), [])
    assert.deepStrictEqual(Diagnosis.ofBackbone(pretrain, {}), [])
  })
})

describe("figures of a log", () => {
  const rows = fc.array(
    fc.record({
      usage: fc.nat(256),
      perplexity: fc.double({ min: 1, max: 256, noNaN: true }),
      cosine: fc.oneof(fc.double({ min: -1, max: 1, noNaN: true }), fc.constant(null)),
      gradientNorm: fc.double({ min: 0.01, max: 10, noNaN: true })
    }),
    { minLength: 25, maxLength: 300 }
  )

  it("are means of the last rows, and a cosine that only rises is not lost", () => {
    fc.assert(fc.property(rows, (all) => {
      const last = all.slice(-LogFigures.window(all.length))
      const found: Diagnosis.Figures = LogFigures.ofTokenizer(all, 256)
      assert.closeTo(found.batchUsage!, average(last.map(({ usage }) => usage)), 1e-9)
      assert.closeTo(found.batchPerplexityShare!, average(last.map(({ perplexity }) => perplexity)) / 256, 1e-9)
      if (found.cosineLost !== undefined) assert.isAtLeast(found.cosineLost, 0)
      const rising: Diagnosis.Figures = LogFigures.ofTokenizer(all.map((row, i) => ({ ...row, cosine: i })), 256)
      assert.strictEqual(rising.cosineLost, 0)
    }))
  })
})
