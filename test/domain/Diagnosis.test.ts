import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import * as Config from "../../src/domain/config/Config.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import * as Diagnosis from "../../src/domain/health/Diagnosis.ts"
import * as HealthFigure from "../../src/domain/health/HealthFigure.ts"
import * as HealthReport from "../../src/domain/health/HealthReport.ts"
import * as LogFigures from "../../src/domain/health/LogFigures.ts"
import type * as Json from "../../src/domain/values/Json.ts"

const { base, tiny } = Presets

const changed = (changes: Json.Changes, of = tiny.tokenizer) =>
  Effect.runSync(Config.merge(TokenizerConfig, "test")(of, changes))

const plain = {
  codebook: {
    decay: null,
    revival: null,
    kmeans: false,
    quantizer: { kind: "gradient", commitment: 1, l2Normalize: false }
  }
}

const few = { usedShare: 0.05, perplexityShare: 0.02 }

const illnesses = (config: TokenizerConfig, figures: Diagnosis.Figures) =>
  Diagnosis.ofTokenizer(config, figures).map(({ illness }) => illness)

describe("the diagnosis of a tokenizer", () => {
  it("names the root cause of a collapse first", () => {
    const tinyBatch = { codebook: { kmeans: false, revival: null }, optimizer: { batchSize: 2 } }
    assert.deepStrictEqual(illnesses(changed(plain), few), ["collapseWithoutNormalisation"])
    assert.deepStrictEqual(illnesses(changed({ ...plain, optimizer: { batchSize: 2 } }), few), [
      "collapseWithoutNormalisation"
    ])
    assert.deepStrictEqual(illnesses(changed(tinyBatch), few), ["collapseOfTinyBatch"])
    assert.deepStrictEqual(illnesses(changed({ codebook: { kmeans: false } }), few), ["collapseWithoutKmeans"])
    assert.deepStrictEqual(illnesses(changed({}), { ...few, cosineLost: 0.3 }), ["collapseOfUnstableTraining"])
    assert.deepStrictEqual(illnesses(base.tokenizer, few), ["collapseWithoutRevival"])
    assert.deepStrictEqual(illnesses(tiny.tokenizer, few), ["collapse"])
  })

  it("makes one finding of several causes", () => {
    const config = changed({ codebook: { kmeans: false, revival: null }, optimizer: { batchSize: 2 } })
    const [first, ...more] = Diagnosis.ofTokenizer(config, few)
    assert.deepStrictEqual(more, [])
    assert.match(first!.cause, /No code is revived/)
    assert.include(first!.evidence, "codebook.revival: null")
    assert.strictEqual(new Set(first!.evidence).size, first!.evidence.length)
    assert.strictEqual(new Set(first!.change).size, first!.change.length)
  })

  it("blames the learning rate for what was not learned", () => {
    const used = { usedShare: 0.9, perplexityShare: 0.6 }
    const low = changed({ optimizer: { lr: 1e-9, minLr: 0 } })
    const high = changed({ optimizer: { lr: 10, clipNorm: null } })
    const changeOf = (config: TokenizerConfig, figures: Diagnosis.Figures) =>
      Diagnosis.ofTokenizer(config, figures)[0]!.change[0]!
    assert.deepStrictEqual(illnesses(low, { ...used, cosineBest: -0.02 }), ["learnedNothing"])
    assert.match(changeOf(low, { ...used, cosineBest: -0.02 }), /larger/)
    assert.deepStrictEqual(illnesses(high, { ...used, cosineBest: 0.05 }), ["learnedNothing"])
    assert.match(changeOf(high, { ...used, cosineBest: 0.05 }), /smaller, for example 0.1/)
    assert.deepStrictEqual(illnesses(high, { ...few, cosineBest: 0.05 }), ["collapseOfUnstableTraining"])
    assert.match(changeOf(high, { ...few, cosineBest: 0.05 }), /smaller/)
    assert.deepStrictEqual(illnesses(low, { ...few, cosineBest: 0.05 }), ["collapse", "learnedNothing"])
    assert.deepStrictEqual(illnesses(high, { ...used, cosineBest: 0.34 }), [])
  })

  it("judges what the training reached only well after the warmup, and once it no longer rises", () => {
    const rows = (steps: number, cosine: (step: number) => number) =>
      Array.from({ length: steps }, (_, step) => ({ step, lr: Math.min(step, 20), cosine: cosine(step) }))
    const reached = (steps: number, cosine: (step: number) => number) =>
      LogFigures.ofTokenizer(rows(steps, cosine), 16).cosineBest
    assert.isUndefined(reached(60, () => 0.05))
    assert.closeTo(reached(80, () => 0.05)!, 0.05, 1e-12)
    assert.isUndefined(reached(80, (step) => step / 850))
    assert.closeTo(reached(200, (step) => step / 400)!, 0.47, 0.02)
  })

  it("accuses no setting of a codebook that is in use", () => {
    for (const changes of [plain, { codebook: { kmeans: false, revival: null }, optimizer: { batchSize: 2 } }]) {
      assert.deepStrictEqual(illnesses(changed(changes), { usedShare: 0.9, perplexityShare: 0.6, cosineLost: 0 }), [])
    }
  })

  it("asks only for changes that the configuration allows", () => {
    const scalars = { dim: 2, size: 16, decay: null, revival: null, kmeans: false }
    const config = changed({ codebook: { ...scalars, quantizer: { kind: "finiteScalar", levels: [4, 4] } } })
    const [first] = Diagnosis.ofTokenizer(config, few)
    assert.strictEqual(first!.illness, "collapse")
    assert.notMatch(first!.change.join(), /kmeans|revival/)
  })

  it("asks for a batch that would no longer be tiny", () => {
    const config = changed({ codebook: { kmeans: false, revival: null }, optimizer: { batchSize: 2 } })
    const [first] = Diagnosis.ofTokenizer(config, few)
    const size = Number(/about (\d+)/.exec(first!.change[0]!)![1])
    assert.isAtLeast(Diagnosis.vectorsPerCode(changed({ optimizer: { batchSize: size } })), 4 * Diagnosis.FEW_VECTORS)
  })

  it("tells an unstable training and codes of positions apart from a collapse", () => {
    assert.deepStrictEqual(illnesses(tiny.tokenizer, { usedShare: 0.9, gradientGrowth: 40, positionShare: 0.9 }), [
      "unstable",
      "positions"
    ])
  })
})

describe("the diagnosis of a pretrained network", () => {
  it("tells of features that are alike, and what the low rank adds", () => {
    const alike = { tokenSimilarity: 0.9999, tokenSpread: 0.01, featureRank: 0.01 }
    const [first, ...more] = Diagnosis.ofBackbone(tiny.pretrain, alike)
    assert.strictEqual(first!.illness, "collapsedFeatures")
    assert.lengthOf(first!.evidence, 3)
    assert.deepStrictEqual(more, [])
    assert.deepStrictEqual(
      Diagnosis.ofBackbone(tiny.pretrain, { tokenSimilarity: 0.5, tokenSpread: 0.6, featureRank: 0.01 }).map((one) =>
        one.illness
      ),
      ["lowRank"]
    )
  })

  it("begins with a network that guesses", () => {
    const found = Diagnosis.ofBackbone(tiny.pretrain, { lossOverEntropy: 1.01, tokenSimilarity: 1 })
    assert.deepStrictEqual(found.map(({ illness }) => illness), ["guessing", "collapsedFeatures"])
  })

  it("advises no share of masked patches that already holds", () => {
    const asked = (count: number) => {
      const config = Effect.runSync(Config.merge(PretrainConfig, "test")(tiny.pretrain, { mask: { count } }))
      const [{ cause, change, evidence }] = Diagnosis.ofBackbone(config, { lossOverEntropy: 1.01 }) as [
        Diagnosis.Finding
      ]
      return [
        cause.includes("masked"),
        ...[evidence, change].map((lines) => lines.find((line) => line.startsWith("mask")))
      ]
    }
    assert.strictEqual(tiny.pretrain.vit.patches, 36)
    for (const count of [14, 15]) assert.deepStrictEqual(asked(count), [false, undefined, undefined], `${count}`)
    const change = "mask.count: at most 15, about 40 % of the patches, as published"
    assert.deepStrictEqual(asked(16), [true, "mask.count: 16 of 36", change])
    for (const { pretrain } of [Presets.tiny, Presets.base, Presets.large]) {
      assert.notInclude(JSON.stringify(Diagnosis.ofBackbone(pretrain, { lossOverEntropy: 1.01 })), "mask")
    }
  })
})

describe("the guide", () => {
  it("has all figures with their bands", () => {
    const page = readFileSync("docs/doctor.md", "utf8")
    const table = page.slice(page.indexOf("| figure |"), page.indexOf("Bands are measured"))
    const rows = Object.entries(HealthFigure.all).map(([name, { meaning, title }]) =>
      `| ${title} | ${meaning} | ${HealthFigure.showBand(name as HealthFigure.Name) ?? ""} |`
    )
    assert.deepStrictEqual(table.trim().split("\n").slice(2), rows)
  })
})

describe("a report", () => {
  it("survives its file, and is ill if a stage is", () => {
    const about = {
      stage: "tokenizer",
      step: 9,
      finished: false,
      missing: [{ figures: ["churn"], why: "why" }]
    } as const
    const on = "64 images of val"
    const figures = [{ name: "usedShare", value: 0.02, on }, { name: "entropy", value: 1, on }] as const
    const stage = HealthReport.ofTokenizer(about, tiny.tokenizer, figures)
    assert.deepStrictEqual(stage.figures.map(({ healthy }) => healthy), [false, undefined])
    const report: HealthReport.HealthReport = { version: 1, patchword: "0", stages: [stage] }
    assert.isTrue(HealthReport.isIll(report))
    const text = JSON.stringify(Schema.encodeSync(HealthReport.HealthReport)(report))
    assert.deepStrictEqual(Schema.decodeUnknownSync(HealthReport.HealthReport)(JSON.parse(text)), report)
  })

  it("shows bands with their units", () => {
    assert.match(HealthFigure.showBand("usedShare")!, /^at least \d+ %$/)
    assert.match(HealthFigure.showBand("tokenSimilarity")!, /^at most [\d.]+$/)
    assert.isUndefined(HealthFigure.showBand("entropy"))
  })
})
