/**
 * The numbers of the paper's tables 1 to 7 (arXiv 2208.06366), to compare with. All are of ImageNet-1k or ADE20K.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PaperTables } from "patchword/domain"
 *
 * const place = { table: 3, section: "ViT-B/16", row: "BEiT v2", column: "ImageNet-A top-1" } as const
 * assert.strictEqual(PaperTables.find(place)?.value, 54.4)
 * const vit = { imageSize: 224, patchSize: 16, width: 768, depth: 12 }
 * const found = PaperTables.counterpart({ verb: "probe", vit }, { split: "val", classes: 1000 })
 * assert.strictEqual(found?.value, 80.1)
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import * as PaperNumbers from "./PaperNumbers.ts"

/** A number of the paper, with its place. */
export const Entry = Schema.Struct({
  /** The number of the table. */
  table: Quantity.upTo(7),
  /** The block of rows: a size of networks, or a setting. */
  section: Schema.String,
  row: Schema.String,
  column: Schema.String,
  /** The number in `unit`; null where the paper prints a dash or N/A. */
  value: Schema.NullOr(Schema.Finite),
  unit: Schema.Literals(["%", "epochs", "loss", "M"]),
  /** True for the paper's own method, false for the methods it compares with. */
  ours: Schema.Boolean,
  /** Epochs of pretraining, if the table has them beside the row. */
  epochs: Schema.optionalKey(Quantity.Count),
  /** The settings of a row of an ablation. */
  variant: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Boolean]))
  ),
  /** True if the row has the settings of the paper's other tables. */
  isDefault: Schema.optionalKey(Schema.Boolean),
  /** A doubt about the entry. */
  note: Schema.optionalKey(Schema.String)
})
export type Entry = typeof Entry.Type

/** The title of a column of such numbers. */
export const TITLE = "paper, ImageNet-1k"

/** All numbers, in the order of the paper: by table, row and column. */
export const entries: ReadonlyArray<Entry> = PaperNumbers.sections.flatMap(({ columns, rows, section, table }) =>
  rows.flatMap(({ more, ours, row, values }) =>
    columns.map(([column, unit], i): Entry => ({
      table,
      section,
      row,
      column,
      value: values[i] ?? null,
      unit,
      ours,
      ...more
    }))
  )
)

/** The place of a number. */
export type Place = Pick<Entry, "table" | "section" | "row" | "column">

/** Returns the number at a place; `undefined` if the paper has none there. */
export const find = (place: Place): Entry | undefined =>
  entries.find((entry) =>
    entry.table === place.table && entry.section === place.section && entry.row === place.row &&
    entry.column === place.column
  )

/** The sizes of a network that decide which size of the paper it has. */
export interface Sizes {
  readonly imageSize: number
  readonly patchSize: number
  readonly width: number
  readonly depth: number
}

/** Returns the paper's name of a network's size at 224 pixels; `undefined` for other sizes. */
export const sizeOf = (sizes: Sizes): "ViT-B/16" | "ViT-L/16" | undefined => {
  const { depth, imageSize, patchSize, width } = sizes
  if (imageSize !== 224 || patchSize !== 16) return undefined
  if (width === 768 && depth === 12) return "ViT-B/16"
  return width === 1024 && depth === 24 ? "ViT-L/16" : undefined
}

const OURS = "BEiT v2"

/** Names of splits with the images of table 3, and their columns. */
const SETS: ReadonlyArray<readonly [name: RegExp, classes: number, column: string]> = [
  [/^(?:imagenet-?a|adversarial)$/i, 200, "ImageNet-A top-1"],
  [/^(?:imagenet-?r|renditions?)$/i, 200, "ImageNet-R top-1"],
  [/^(?:imagenet-?)?sketch$/i, 1000, "ImageNet-Sketch top-1"]
]

const VALIDATION = /^(?:val|valid|validation)$/i

const CLASSES = 1000

/** An evaluation: its verb, the sizes of the network, and the epochs of pretraining, if they are known. */
export interface Evaluated {
  readonly verb: "probe" | "knn" | "finetune" | "robustness"
  readonly vit: Sizes
  readonly epochs?: number | undefined
}

/**
 * Returns the paper's number for an accuracy: same kind of evaluation, same size of network, and a split with the usual name
 * and number of answers of ImageNet's validation set or of a set of table 3. It is `undefined` if the paper has none. Without
 * 1600 epochs of pretraining, the validation set's number is that of 300 epochs.
 */
export const counterpart = (
  evaluated: Evaluated,
  on: { readonly split: string; readonly classes: number }
): Entry | undefined => {
  const { epochs = 0, verb, vit } = evaluated
  const { classes, split } = on
  const size = sizeOf(vit)
  if (size === undefined || verb === "knn") return undefined
  const isValidation = VALIDATION.test(split) && classes === CLASSES
  if (verb === "probe") {
    if (!isValidation || size !== "ViT-B/16") return undefined
    const section = "ViT-B/16, 300 epochs (MAE 1600)"
    return find({ table: 2, section, row: OURS, column: "ImageNet-1k top-1, linear probe" })
  }
  if (isValidation) {
    const section = epochs >= 1600 ? `${size}, longer` : size
    return find({ table: 1, section, row: OURS, column: "ImageNet-1k top-1, fine-tuned" })
  }
  const set = SETS.find(([name, possible]) => name.test(split) && classes === possible)
  return set === undefined ? undefined : find({ table: 3, section: size, row: OURS, column: set[2] })
}

/** Formats the number with its place: `85 (table 1, ViT-B/16)`. Empty if there is none. */
export const show = (entry: Entry | undefined): string =>
  entry === undefined || entry.value === null
    ? ""
    : `${entry.value.toFixed(1)} (table ${entry.table}, ${entry.section})`
