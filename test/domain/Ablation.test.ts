import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Preset from "../../src/domain/config/Preset.ts"
import { all as presets, base, tiny } from "../../src/domain/config/presets/Presets.ts"
import * as PaperTables from "../../src/domain/evaluation/PaperTables.ts"
import * as Ablation from "../../src/domain/study/Ablation.ts"
import * as StudyReport from "../../src/domain/study/StudyReport.ts"

const teachers = [
  { name: "dino", kind: "dino", isTrainable: true },
  { name: "clip", kind: "clip", isTrainable: true }
]

const rowOf = (table: Ablation.Ablation, name: string, preset = base) =>
  table.rows(preset, teachers).find((row) => row.name === name)!

const settingsOf = (table: Ablation.Ablation, name: string, preset = base) =>
  Preset.with(preset, Ablation.seeded(rowOf(table, name, preset), 3))

describe("the ablations", () => {
  it.each(Ablation.all)("of $name have the paper's numbers, and no other ablation of it is left", (table) => {
    const rows = table.rows(base, teachers)
    assert.strictEqual(new Set(rows.map(({ name }) => name)).size, rows.length)
    assert.strictEqual(rows.filter(({ isDefault }) => isDefault).length, 1)
    const columns = new Set(table.measures.map((measure) => Ablation.measures[measure].column))
    const wanted = PaperTables.entries.filter((entry) =>
      entry.table === table.number && columns.has(entry.column) && !entry.section.includes("1600")
    )
    const found = rows.flatMap((row) => table.measures.map((measure) => Ablation.paper(table, row, measure)))
    assert.deepStrictEqual(
      found.filter((value) => value !== null).toSorted(),
      wanted.map(({ value }) => value!).toSorted()
    )
  })

  it.each(Ablation.all)(
    "of $name leave the other numbers of the paper's table, each with a reason",
    ({ number, rows, measures }) => {
      const left = Ablation.notRun(number)
      const all = PaperTables.entries.filter(({ table, value }) => table === number && value !== null)
      const told = rows(base, teachers).flatMap((row) =>
        measures.map((measure) => Ablation.paper({ number } as Ablation.Ablation, row, measure))
      ).filter((value) => value !== null)
      // The paper's number of CLIP itself is a row of these teachers, which no study can run.
      assert.strictEqual(left.length + told.length, all.length + (number === 6 ? 1 : 0))
      assert.isTrue(
        left.some(({ column, reason }) => column.startsWith("ADE20K") && reason.includes("patchword segment"))
      )
      assert.strictEqual(left.some(({ row }) => row.includes("1600")), number === 6)
      assert.strictEqual(left.some(({ row }) => row.startsWith("CLIP,")), number === 6)
    }
  )

  it.effect.each(Object.entries(presets))("fit the preset %s", ([, preset]) =>
    Effect.gen(function*() {
      for (const table of Ablation.all) {
        for (const { name } of table.rows(preset, teachers)) {
          const { finetune, pretrain, probe, tokenizer } = yield* settingsOf(table, name, preset)
          assert.deepStrictEqual([tokenizer.seed, pretrain.seed, finetune.seed, probe.seed], [3, 3, 3, 3])
        }
      }
    }))

  it.effect("have the settings of the paper for its network", () =>
    Effect.gen(function*() {
      const small = yield* settingsOf(Ablation.table4, "small")
      const { decoderDepth, encoder: { depth, heads, width } } = small.tokenizer
      assert.deepStrictEqual([width, heads, depth, decoderDepth], [384, 6, 12, 1])
      assert.strictEqual(small.pretrain.aggregation, null)
      assert.strictEqual(small.probe.pooling, "mean")
      const plain = yield* settingsOf(Ablation.table4, "plain-vq")
      assert.deepStrictEqual(plain.tokenizer.codebook.quantizer, {
        kind: "gradient",
        commitment: 1,
        l2Normalize: false
      })
      const layers = yield* Effect.forEach(
        ["shared", "early", "late"],
        (name) => Effect.map(settingsOf(Ablation.table5, name), ({ pretrain }) => pretrain.aggregation)
      )
      assert.deepStrictEqual(layers.map((one) => one?.earlyLayer), [9, 6, 11])
      const none = yield* settingsOf(Ablation.table5, "none")
      assert.deepStrictEqual([none.pretrain.aggregation, none.probe.pooling], [null, "mean"])
      const [row] = Ablation.table4.rows(tiny, teachers)
      assert.strictEqual(row?.title, "encoder 3x64x2, decoder 1x64x2, codebook 256x32")
    }))

  it.effect.each(["base", "tiny", "huge14"] as const)(
    "say their settings in their titles, %s",
    (name) =>
      Effect.gen(function*() {
        const preset = presets[name]
        const told = (table: Ablation.Ablation) =>
          Effect.forEach(
            table.rows(preset, teachers),
            (row) => Effect.map(settingsOf(table, row.name, preset), (settings) => ({ row, settings }))
          )
        for (const { row, settings: { pretrain, probe, tokenizer } } of yield* told(Ablation.table4)) {
          const { codebook: { dim, size }, decoderDepth, encoder: { depth, heads, width } } = tokenizer
          const own =
            `encoder ${depth}x${width}x${heads}, decoder ${decoderDepth}x${width}x${heads}, codebook ${size}x${dim}`
          assert.strictEqual(row.title.replace(/, plain VQ .*/, ""), own)
          if (name === "base" && row.place !== undefined) {
            const kind = width === 768 ? "Base" : "Small"
            assert.strictEqual(row.place.row, `${kind} & ${decoderDepth}x${width}x${heads}, ${size}x${dim}`)
          }
          assert.deepStrictEqual([pretrain.aggregation, probe.pooling, row.teacher], [null, "mean", 0])
        }
        const { depth } = preset.pretrain.vit
        const early = { base: 9, tiny: 3, huge14: 24 }[name]
        for (const { row, settings: { pretrain: { aggregation }, probe } } of yield* told(Ablation.table5)) {
          assert.deepStrictEqual([row.teacher, row.isDefault], [0, row.name === "shared"])
          if (aggregation === null) continue
          const { earlyLayer, headDepth, sharedHead } = aggregation
          assert.strictEqual(
            row.title,
            `l=${earlyLayer}, depth ${headDepth}, head ${sharedHead ? "shared" : "separate"}`
          )
          if (name === "base") assert.strictEqual(row.title, row.place!.row)
          assert.strictEqual(probe.pooling, "cls")
          assert.strictEqual(
            earlyLayer,
            row.name === "early" ? Math.round(early / 1.5) : row.name === "late" ? depth - 1 : early
          )
        }
        const codes = Ablation.table4.rows(preset, teachers).find((row) => row.name === "half-codes")!
        assert.include(codes.title, `codebook ${preset.tokenizer.codebook.size / 2}x${preset.tokenizer.codebook.dim}`)
      })
  )

  it("keep out teachers whose network cannot be fine-tuned", () => {
    const names = Ablation.table6.rows(base, [{ name: "hog", kind: "hog", isTrainable: false }])
      .map(({ name, place }) => [name, place])
    assert.deepStrictEqual(names, [["target-hog", undefined], ["encoder-hog", undefined]])
  })
})

describe("the report of a study", () => {
  const { table5 } = Ablation
  const rows = table5.rows(base, teachers)
  const report = StudyReport.make(
    table5,
    rows,
    new Map([
      ["shared", [{ finetune: 0.5, probe: 0.4 }, { finetune: 0.52, probe: 0.4 }]],
      ["early", [{ finetune: 0.51, probe: 0.5 }, { finetune: 0.55 }]],
      ["late", [{ finetune: 0.6, probe: 0.3 }, { finetune: 0.62, probe: 0.3 }]]
    ]),
    { seeds: [0, 1], train: "a", test: "b" }
  )
  const of = (name: string) => report.rows.find(({ row }) => row === name)!.figures

  it("has mean and deviation over the seeds that were measured", () => {
    assert.deepStrictEqual(Schema.decodeUnknownSync(StudyReport.StudyReport)(report), report)
    const { finetune, probe } = of("early")
    assert.closeTo(finetune!.mean!, 53, 1e-9)
    assert.closeTo(finetune!.deviation!, Math.sqrt(8), 1e-9)
    assert.deepStrictEqual([probe!.values, probe!.mean, probe!.deviation], [[50, null], 50, null])
    assert.deepStrictEqual(of("none").probe!.mean, null)
    assert.strictEqual(of("none").probe!.paper, 77.9)
  })

  it("says where rows do not differ, and nothing where nothing is known", () => {
    assert.strictEqual(of("early").finetune!.note, StudyReport.NO_DIFFERENCE)
    assert.closeTo(of("late").finetune!.difference!, 10, 1e-9)
    assert.strictEqual(of("late").finetune!.note, null)
    assert.strictEqual(of("late").probe!.note, null)
    assert.strictEqual(of("early").probe!.note, null)
    assert.deepStrictEqual([of("shared").finetune!.difference, of("none").finetune!.difference], [null, null])
  })

  it("sees no difference between equal figures without a deviation", () => {
    const equal = new Map(["shared", "late"].map((row) => [row, [{ probe: 1 }, { probe: 1 }]]))
    const made = StudyReport.make(Ablation.table5, Ablation.table5.rows(base, []), equal, {
      seeds: [0, 1],
      train: "a",
      test: "b"
    })
    assert.strictEqual(made.rows.find(({ row }) => row === "late")!.figures.probe!.note, StudyReport.NO_DIFFERENCE)
  })

  it("shows a loss with three digits, and shares with one", () => {
    assert.deepStrictEqual([StudyReport.show("reconstruction", 0.12345), StudyReport.show("probe", 44.81)], [
      "0.123",
      "44.8"
    ])
  })

  it("is CSV with a line for each figure", () => {
    const lines = StudyReport.csv(report).trim().split("\n")
    assert.strictEqual(lines.length, 1 + 2 * rows.length)
    assert.include(lines.find((line) => line.startsWith("table5,late,"))!, ",\"fine-tuned top-1, %\",61,")
  })
})
