/**
 * The ablations of the paper (tables 4, 5 and 6) as data: rows of configurations, and what is measured of each. `study` runs them.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Ablation, Presets } from "patchword/domain"
 *
 * const rows = Ablation.table5.rows(Presets.base, [])
 * assert.deepStrictEqual(rows.map(({ name }) => name), ["none", "shared", "separate", "depth-1", "depth-3", "early", "late"])
 * assert.strictEqual(Ablation.paper(Ablation.table5, rows[1]!, "probe"), 80.1)
 * ```
 */
import type * as Preset from "../config/Preset.ts"
import * as PaperTables from "../evaluation/PaperTables.ts"

/** A figure of a row: of the tokenizer, of the fine-tuned classifier, or of a probe of frozen features. */
export type Measure = "reconstruction" | "usage" | "finetune" | "probe"

/** The title and the column of a measure in the paper's tables. All but the loss are shares, which the paper has in percent. */
export const measures: Readonly<Record<Measure, { readonly title: string; readonly column: string }>> = {
  reconstruction: { title: "reconstruction loss", column: "reconstruction loss, validation" },
  usage: { title: "codebook usage, %", column: "codebook usage, validation" },
  finetune: { title: "fine-tuned top-1, %", column: "ImageNet-1k top-1, fine-tuned" },
  probe: { title: "linear probe top-1, %", column: "ImageNet-1k top-1, linear probe" }
}

/** The factor from a figure to the number that is shown: shares are shown in percent. */
export const factor = (measure: Measure): number => measure === "reconstruction" ? 1 : 100

/** A teacher of a study. */
export interface Teacher {
  /** The name in the keys of rows. */
  readonly name: string
  /** The kind, which decides the paper's row. */
  readonly kind: string
  /** True if its network can be fine-tuned itself. */
  readonly isTrainable: boolean
}

/** The network that a row fine-tunes: the pretrained one, the tokenizer's encoder, or the teacher. */
export type Start = "pretrained" | "tokenizer" | "teacher"

/** A row: a configuration, as changes of the base, and its place in the paper's table. */
export interface Row {
  /** The name on the command line. */
  readonly name: string
  /** The settings of the row, with the sizes of the base. */
  readonly title: string
  readonly start: Start
  readonly changes: Preset.Changes
  /** The index of its teacher. */
  readonly teacher: number
  /** True for the row that the others are compared with. */
  readonly isDefault: boolean
  /** The section and the row of the paper's table. Undefined for rows that the paper has not. */
  readonly place?: { readonly section: string; readonly row: string } | undefined
}

/** A table of ablations. */
export interface Ablation {
  /** The name on the command line. */
  readonly name: string
  /** The number of the paper's table. */
  readonly number: 4 | 5 | 6
  readonly title: string
  readonly measures: ReadonlyArray<Measure>
  /** Returns the rows for a base configuration and for teachers. Tables 4 and 5 use the first teacher. */
  readonly rows: (base: Preset.Preset, teachers: ReadonlyArray<Teacher>) => ReadonlyArray<Row>
}

type Tokenizer = Preset.Preset["tokenizer"]

const sizes = ({ codebook: { dim, size }, encoder: { depth, heads, width } }: Tokenizer, decoderDepth: number) =>
  `encoder ${depth}x${width}x${heads}, decoder ${decoderDepth}x${width}x${heads}, codebook ${size}x${dim}`

const WITHOUT = "without patch aggregation, 300 epochs"

/**
 * Table 4: the sizes of the tokenizer, without patch aggregation. The probe takes the mean of the patch tokens. `small` has half
 * the width and half the heads. The rows from `half-codes` are not in the paper.
 */
export const table4: Ablation = {
  name: "table4",
  number: 4,
  title: "architecture and codebook of the tokenizer, without patch aggregation",
  measures: ["reconstruction", "usage", "finetune", "probe"],
  rows: ({ tokenizer }) => {
    const { codebook, encoder } = tokenizer
    const { dim, size } = codebook
    const row = (
      name: string,
      title: string,
      changes: Preset.Changes["tokenizer"],
      paper?: string
    ): Row => ({
      name,
      title,
      start: "pretrained",
      changes: { tokenizer: changes, pretrain: { aggregation: null }, probe: { pooling: "mean" } },
      teacher: 0,
      isDefault: name === "base-3",
      ...(paper === undefined ? {} : { place: { section: WITHOUT, row: paper } })
    })
    const narrow = { width: encoder.width / 2, heads: encoder.heads / 2 }
    const of = (given: Partial<Tokenizer["codebook"]>) =>
      sizes({ ...tokenizer, codebook: { ...codebook, ...given } } as Tokenizer, 3)
    return [
      row(
        "small",
        sizes({ ...tokenizer, encoder: { ...encoder, ...narrow } } as Tokenizer, 1),
        { encoder: narrow, decoderDepth: 1 },
        "Small & 1x384x6, 8192x32"
      ),
      ...[1, 3, 6].map((depth) =>
        row(`base-${depth}`, sizes(tokenizer, depth), { decoderDepth: depth }, `Base & ${depth}x768x12, 8192x32`)
      ),
      row(
        "half-dim",
        of({ dim: dim / 2 }),
        { decoderDepth: 3, codebook: { dim: dim / 2 } },
        "Base & 3x768x12, 8192x16"
      ),
      row(
        "double-dim",
        of({ dim: 2 * dim }),
        { decoderDepth: 3, codebook: { dim: 2 * dim } },
        "Base & 3x768x12, 8192x64"
      ),
      row("half-codes", of({ size: size / 2 }), { decoderDepth: 3, codebook: { size: size / 2 } }),
      row("plain-vq", `${sizes(tokenizer, 3)}, plain VQ loss without l2 normalisation`, {
        decoderDepth: 3,
        codebook: {
          decay: null,
          revival: null,
          kmeans: false,
          quantizer: { kind: "gradient", commitment: 1, l2Normalize: false }
        }
      })
    ]
  }
}

const WITH = "with patch aggregation"

/** The layer, the depth and the sharing of the default row, for networks of any depth. The paper's are 9 of 12, 2 and true. */
const aggregated = ({ pretrain: { aggregation, vit } }: Preset.Preset) => ({
  earlyLayer: aggregation?.earlyLayer ?? Math.max(1, Math.round(0.75 * vit.depth)),
  headDepth: 2,
  sharedHead: true
})

/**
 * Table 5: patch aggregation. The probe takes the class token, and without aggregation the mean of the patch tokens. The early
 * layer of `early` is two thirds of the default one (6 of 9), that of `late` the last but one (11 of 12).
 */
export const table5: Ablation = {
  name: "table5",
  number: 5,
  title: "patch aggregation",
  measures: ["finetune", "probe"],
  rows: (base) => {
    const usual = aggregated(base)
    const { depth } = base.pretrain.vit
    const row = (name: string, given: Partial<typeof usual>, paper: string): Row => {
      const aggregation = { ...usual, ...given }
      const { earlyLayer, headDepth, sharedHead } = aggregation
      return {
        name,
        title: `l=${earlyLayer}, depth ${headDepth}, head ${sharedHead ? "shared" : "separate"}`,
        start: "pretrained",
        changes: { pretrain: { aggregation }, probe: { pooling: "cls" } },
        teacher: 0,
        isDefault: name === "shared",
        place: { section: WITH, row: paper }
      }
    }
    return [
      {
        name: "none",
        title: "without patch aggregation",
        start: "pretrained",
        changes: { pretrain: { aggregation: null }, probe: { pooling: "mean" } },
        teacher: 0,
        isDefault: false,
        place: { section: "without patch aggregation", row: "without patch aggregation" }
      },
      row("shared", {}, "l=9, depth 2, head shared"),
      row("separate", { sharedHead: false }, "l=9, depth 2, head separate"),
      row("depth-1", { headDepth: 1 }, "l=9, depth 1, head shared"),
      row("depth-3", { headDepth: 3 }, "l=9, depth 3, head shared"),
      row("early", { earlyLayer: Math.max(1, Math.round(usual.earlyLayer * 2 / 3)) }, "l=6, depth 2, head shared"),
      row("late", { earlyLayer: Math.max(1, depth - 1) }, "l=11, depth 2, head shared")
    ]
  }
}

const PAPER_TEACHERS: Readonly<Record<string, string>> = { clip: "CLIP", dino: "DINO" }

/**
 * Table 6: the targets. For each teacher a network that is pretrained on its codes, the teacher itself if its network can be
 * fine-tuned, and the tokenizer's encoder. The last teacher's pretrained network is the row to compare with.
 */
export const table6: Ablation = {
  name: "table6",
  number: 6,
  title: "targets, and the target models themselves",
  measures: ["finetune"],
  rows: (base, teachers) => {
    const changes = { pretrain: { aggregation: aggregated(base) } }
    const each = (
      start: Start,
      prefix: string,
      title: (name: string) => string,
      place: (paper: string) => Row["place"]
    ) =>
      teachers.flatMap(({ isTrainable, kind, name }, teacher): ReadonlyArray<Row> => {
        if (start === "teacher" && !isTrainable) return []
        const paper = PAPER_TEACHERS[kind]
        return [{
          name: `${prefix}-${name}`,
          title: title(name),
          start,
          changes,
          teacher,
          isDefault: start === "pretrained" && teacher === teachers.length - 1,
          place: paper === undefined ? undefined : place(paper)
        }]
      })
    return [
      ...each("pretrained", "target", (name) => `pretrained on the codes of ${name}`, (paper) => ({
        section: "pretrained 300 epochs",
        row: `BEiT v2, ${paper} target`
      })),
      ...each("teacher", "teacher", (name) => `the teacher ${name} itself`, (paper) => ({
        section: "target models themselves",
        row: paper
      })),
      ...each("tokenizer", "encoder", (name) => `the tokenizer's encoder, taught by ${name}`, (paper) => ({
        section: "tokenizer encoder itself",
        row: `VQ-KD encoder, ${paper} target`
      }))
    ]
  }
}

/** All tables, in the order of the paper. */
export const all: ReadonlyArray<Ablation> = [table4, table5, table6]

/** Returns the paper's number for a figure of a row, as it is printed; `null` if the paper has none. */
export const paper = (table: Ablation, row: Row, measure: Measure): number | null =>
  row.place === undefined
    ? null
    : PaperTables.find({ table: table.number, ...row.place, column: measures[measure].column })?.value ?? null

/** A number of the paper that no study measures. */
export interface NotRun {
  /** The section and the row of the paper's table. */
  readonly row: string
  readonly column: string
  readonly value: number
  readonly reason: string
}

const reasonOf = ({ column, row, section }: PaperTables.Entry): string | undefined => {
  if (column.startsWith("ADE20K")) return "segmentation: patchword segment trains and measures it"
  if (section === "pretrained 1600 epochs") {
    return "longer pretraining: run the study again with pretrain.optimizer.epochs=1600"
  }
  return section === "target models themselves" && row === "CLIP"
    ? "CLIP's network has a norm before its blocks, which the classifier has not"
    : undefined
}

/** Lists the numbers of a table of the paper that no study measures, with the reasons. */
export const notRun = (table: number): ReadonlyArray<NotRun> =>
  PaperTables.entries.flatMap((entry) => {
    const { column, row, section, value } = entry
    const reason = entry.table === table ? reasonOf(entry) : undefined
    if (reason === undefined || value === null) return []
    return [{ row: row === section ? row : `${row}, ${section}`, column, value, reason }]
  })

/** Returns the changes of a row with a random seed for all stages. */
export const seeded = (row: Row, seed: number): Preset.Changes => ({
  ...row.changes,
  tokenizer: { ...row.changes.tokenizer, seed },
  pretrain: { ...row.changes.pretrain, seed },
  finetune: { ...row.changes.finetune, seed },
  probe: { ...row.changes.probe, seed }
})
