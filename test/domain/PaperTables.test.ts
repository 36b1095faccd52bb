import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { readFileSync } from "node:fs"
import * as PaperTables from "../../src/domain/evaluation/PaperTables.ts"

const { entries } = PaperTables
const base = { imageSize: 224, patchSize: 16, width: 768, depth: 12 }
const large = { imageSize: 224, patchSize: 16, width: 1024, depth: 24 }

describe("the paper's tables", () => {
  it("fit their schema, and each number has a place of its own", () => {
    assert.deepStrictEqual(Schema.decodeUnknownSync(Schema.Array(PaperTables.Entry))(entries), entries)
    const places = new Set(entries.map(({ column, row, section, table }) => [table, section, row, column].join("|")))
    assert.strictEqual(places.size, entries.length)
    for (const entry of entries) assert.strictEqual(PaperTables.find(entry), entry)
    const counts = Object.groupBy(entries, ({ table }) => table)
    assert.deepStrictEqual(Object.values(counts).map((some) => some!.length), [72, 6, 12, 30, 21, 12, 48])
  })

  it("have a column of numbers for every row, and settings for the rows of ablations", () => {
    for (const { column, isDefault, row, table, unit, value, variant } of entries) {
      assert.notStrictEqual(value, undefined, `${row}, ${column}`)
      if (unit === "%" && value !== null) assert.isTrue(value > 30 && value <= 100, `${row}, ${column}`)
      if (table !== 4 && table !== 5) assert.deepStrictEqual([variant, isDefault], [undefined, undefined])
    }
    assert.strictEqual(entries.filter(({ isDefault }) => isDefault === true).length, 5 + 3)
  })

  it("have the numbers that are printed", () => {
    const printed = readFileSync(new URL("files/paper_tables.txt", import.meta.url), "utf8").trim().split("\n")
    const value = (entry: PaperTables.Entry) => entry.value ?? "-"
    const rows = Array.from(
      Map.groupBy(entries, ({ row, section, table }) => `${table}|${section}|${row}`).values(),
      (row) => [row[0]!.table, row[0]!.row, row.map(value)]
    )
    assert.deepStrictEqual(
      rows,
      printed.map((line) => {
        const [table, row, values] = line.split(" | ")
        return [Number(table), row, values!.split(" ").map((word) => word === "-" ? word : Number(word))]
      })
    )
  })

  it("have settings and epochs as their rows say, and the paper's own method in its rows", () => {
    for (const { epochs, isDefault, ours, row, section, table, variant } of entries) {
      const [, encoder, decoder, codes, dim] = /^(\w+) & (\w+), (\d+)x(\d+)$/.exec(row) ?? []
      const [, layer, headLayers, head] = /^l=(\d+), depth (\d), head (\w+)$/.exec(row) ?? []
      const expected = encoder !== undefined
        ? { encoder, decoder, codes: Number(codes), dim: Number(dim) }
        : layer !== undefined
        ? { layer: Number(layer), headLayers: Number(headLayers), sharedHead: head === "shared" }
        : undefined
      assert.deepStrictEqual<unknown>(variant, expected, row)
      assert.strictEqual(epochs, table === 2 ? (row === "MAE" ? 1600 : 300) : undefined, row)
      assert.strictEqual(
        ours,
        table === 4 || table === 5 || /BEiT v2|VQ-KD|intermediate/.test(row),
        `${section}, ${row}`
      )
      assert.strictEqual(isDefault === true, /^(?:Base & 3x768x12, 8192x32|l=9, depth 2, head shared)$/.test(row), row)
    }
  })

  it("give an evaluation the number of its kind, size and images, or none", () => {
    const of = (
      verb: PaperTables.Evaluated["verb"],
      vit: PaperTables.Sizes,
      split: string,
      classes = 1000,
      epochs?: number
    ) => PaperTables.counterpart({ verb, vit, epochs }, { split, classes })?.value
    assert.strictEqual(of("finetune", base, "val"), 85)
    assert.strictEqual(of("finetune", base, "val", 1000, 1600), 85.5)
    assert.strictEqual(of("finetune", large, "validation", 1000, 1600), 87.3)
    assert.strictEqual(of("probe", base, "val"), 80.1)
    assert.strictEqual(of("robustness", base, "adversarial", 200), 54.4)
    assert.strictEqual(of("robustness", large, "imagenet-r", 200), 69.9)
    assert.strictEqual(of("finetune", large, "sketch"), 53.5)
    for (
      const none of [
        of("probe", large, "val"),
        of("knn", base, "val"),
        of("finetune", base, "val", 100),
        of("finetune", base, "in-new"),
        of("finetune", base, "imagenet-r", 199),
        of("finetune", { ...base, imageSize: 384 }, "val"),
        of("finetune", { ...base, width: 384 }, "val"),
        of("finetune", { ...base, width: large.width }, "val"),
        of("finetune", { ...base, depth: large.depth }, "val")
      ]
    ) assert.isUndefined(none)
  })
})
