/** The numbers of the tables 1 to 7 of BEiT v2 (arXiv 2208.06366), as they are printed. `PaperTables` makes entries of them. */

/** Additional facts of a row. */
export interface More {
  /** Epochs of pretraining, if no column has them. */
  readonly epochs?: number
  /** The settings of a row of an ablation. */
  readonly variant?: Readonly<Record<string, string | number | boolean>>
  /** True if the row has the settings of the paper's other tables. */
  readonly isDefault?: boolean
  /** A doubt about the row. */
  readonly note?: string
}

/** A row: its name, a value for each column, and `ours` for the paper's own method. `null` is a dash or N/A. */
export interface Row {
  readonly row: string
  readonly values: ReadonlyArray<number | null>
  readonly ours: boolean
  readonly more: More
}

/** Rows with the same columns. */
export interface Section {
  readonly table: number
  readonly section: string
  readonly columns: ReadonlyArray<readonly [name: string, unit: "%" | "epochs" | "loss" | "M"]>
  readonly rows: ReadonlyArray<Row>
}

const own = (row: string, values: Row["values"], more: More = {}): Row => ({ row, values, ours: true, more })

const other = (row: string, values: Row["values"], more: More = {}): Row => ({ row, values, ours: false, more })

const EPOCHS = ["epochs", "epochs"] as const
const FINETUNED = ["ImageNet-1k top-1, fine-tuned", "%"] as const
const PROBED = ["ImageNet-1k top-1, linear probe", "%"] as const

const INFERRED = "the mark of a shared head is not legible in this row; it follows from the text"

/** All sections, in the order of the paper. */
export const sections: ReadonlyArray<Section> = [
  {
    table: 1,
    section: "ViT-B/16",
    columns: [EPOCHS, FINETUNED, ["ADE20K mIoU, single scale 512", "%"]],
    rows: [
      other("BEiT", [300, 82.9, 44.7]),
      other("CAE", [300, 83.6, 48.3]),
      other("SplitMask", [300, 83.6, 45.7]),
      other("MaskFeat", [300, 83.6, null]),
      other("PeCo", [300, 84.1, 46.7]),
      other("MVP", [300, 84.4, 52.4]),
      own("BEiT v2", [300, 85, 52.7])
    ]
  },
  {
    table: 1,
    section: "ViT-B/16, longer",
    columns: [EPOCHS, FINETUNED, ["ADE20K mIoU, single scale 512", "%"]],
    rows: [
      other("BEiT", [800, 83.2, 45.6]),
      other("PeCo", [800, 84.5, 48.5]),
      other("data2vec", [800, 84.2, null]),
      other("MAE", [1600, 83.6, 48.1]),
      other("CAE", [1600, 83.9, 50.2]),
      own("BEiT v2", [1600, 85.5, 53.1]),
      own("++ ImageNet-21k intermediate fine-tuning", [1600, 86.5, 53.5])
    ]
  },
  {
    table: 1,
    section: "ViT-L/16",
    columns: [EPOCHS, FINETUNED, ["ADE20K mIoU, single scale 512", "%"]],
    rows: [
      other("MaskFeat", [300, 84.4, null]),
      other("MVP", [300, 86.3, 54.3]),
      own("BEiT v2", [300, 86.6, 55])
    ]
  },
  {
    table: 1,
    section: "ViT-L/16, longer",
    columns: [EPOCHS, FINETUNED, ["ADE20K mIoU, single scale 512", "%"]],
    rows: [
      other("BEiT", [800, 85.2, 53.3]),
      other("MaskFeat", [1600, 85.7, null]),
      other("MAE", [1600, 85.9, 53.6]),
      other("CAE", [1600, 86.3, 54.7]),
      other("data2vec", [1600, 86.6, null]),
      own("BEiT v2", [1600, 87.3, 56.7]),
      own("++ ImageNet-21k intermediate fine-tuning", [1600, 88.4, 57.5])
    ]
  },
  {
    table: 2,
    section: "ViT-B/16, 300 epochs (MAE 1600)",
    columns: [PROBED],
    rows: [
      other("BEiT", [56.7], { epochs: 300 }),
      other("CAE", [64.1], { epochs: 300 }),
      other("MAE", [67.8], { epochs: 1600 }),
      other("MVP", [75.4], { epochs: 300 }),
      other("MoCo v3", [76.7], { epochs: 300 }),
      own("BEiT v2", [80.1], { epochs: 300 })
    ]
  },
  {
    table: 3,
    section: "ViT-B/16",
    columns: [["ImageNet-A top-1", "%"], ["ImageNet-R top-1", "%"], ["ImageNet-Sketch top-1", "%"]],
    rows: [
      other("MAE", [35.9, 48.3, 34.5]),
      own("BEiT v2", [54.4, 61, 45.6])
    ]
  },
  {
    table: 3,
    section: "ViT-L/16",
    columns: [["ImageNet-A top-1", "%"], ["ImageNet-R top-1", "%"], ["ImageNet-Sketch top-1", "%"]],
    rows: [
      other("MAE", [57.1, 59.9, 45.3]),
      own("BEiT v2", [69, 69.9, 53.5])
    ]
  },
  {
    table: 4,
    section: "without patch aggregation, 300 epochs",
    columns: [["reconstruction loss, validation", "loss"], ["codebook usage, validation", "%"], FINETUNED, PROBED, [
      "ADE20K mIoU",
      "%"
    ]],
    rows: [
      own("Small & 1x384x6, 8192x32", [0.183, 100, 84.3, 76, 51], {
        variant: { encoder: "Small", decoder: "1x384x6", codes: 8192, dim: 32 }
      }),
      own("Base & 1x768x12, 8192x32", [0.164, 100, 84.7, 78.5, 51.8], {
        variant: { encoder: "Base", decoder: "1x768x12", codes: 8192, dim: 32 }
      }),
      own("Base & 3x768x12, 8192x32", [0.145, 95, 84.7, 77.9, 51.9], {
        variant: { encoder: "Base", decoder: "3x768x12", codes: 8192, dim: 32 },
        isDefault: true
      }),
      own("Base & 6x768x12, 8192x32", [0.136, 77, 84.6, 63, 50.1], {
        variant: { encoder: "Base", decoder: "6x768x12", codes: 8192, dim: 32 }
      }),
      own("Base & 3x768x12, 8192x16", [0.145, 100, 84.7, 76.7, 51.7], {
        variant: { encoder: "Base", decoder: "3x768x12", codes: 8192, dim: 16 }
      }),
      own("Base & 3x768x12, 8192x64", [0.148, 67, 84.7, 77.6, 51.6], {
        variant: { encoder: "Base", decoder: "3x768x12", codes: 8192, dim: 64 }
      })
    ]
  },
  {
    table: 5,
    section: "without patch aggregation",
    columns: [FINETUNED, PROBED, ["ADE20K mIoU", "%"]],
    rows: [
      own("without patch aggregation", [84.7, 77.9, 51.9])
    ]
  },
  {
    table: 5,
    section: "with patch aggregation",
    columns: [FINETUNED, PROBED, ["ADE20K mIoU", "%"]],
    rows: [
      own("l=9, depth 2, head shared", [85, 80.1, 52.7], {
        variant: { layer: 9, headLayers: 2, sharedHead: true },
        isDefault: true
      }),
      own("l=9, depth 2, head separate", [84.8, 79.5, 51.9], {
        variant: { layer: 9, headLayers: 2, sharedHead: false }
      }),
      own("l=9, depth 1, head shared", [84.8, 78.9, 51.7], {
        variant: { layer: 9, headLayers: 1, sharedHead: true },
        note: INFERRED
      }),
      own("l=9, depth 3, head shared", [84.7, 78.1, 52], {
        variant: { layer: 9, headLayers: 3, sharedHead: true },
        note: INFERRED
      }),
      own("l=6, depth 2, head shared", [84.9, 77.5, 53.1], {
        variant: { layer: 6, headLayers: 2, sharedHead: true },
        note: INFERRED
      }),
      own("l=11, depth 2, head shared", [84.5, 69.4, 51.8], {
        variant: { layer: 11, headLayers: 2, sharedHead: true },
        note: INFERRED
      })
    ]
  },
  {
    table: 6,
    section: "pretrained 300 epochs",
    columns: [FINETUNED, ["ADE20K mIoU", "%"]],
    rows: [
      own("BEiT v2, DINO target", [84.4, 49.2]),
      own("BEiT v2, CLIP target", [85, 52.7])
    ]
  },
  {
    table: 6,
    section: "pretrained 1600 epochs",
    columns: [FINETUNED, ["ADE20K mIoU", "%"]],
    rows: [
      own("BEiT v2, CLIP target", [85.5, 53.1])
    ]
  },
  {
    table: 6,
    section: "target models themselves",
    columns: [FINETUNED, ["ADE20K mIoU", "%"]],
    rows: [
      other("DINO", [83.6, 46.8]),
      other("CLIP", [84.9, null])
    ]
  },
  {
    table: 6,
    section: "tokenizer encoder itself",
    columns: [FINETUNED, ["ADE20K mIoU", "%"]],
    rows: [
      own("VQ-KD encoder, CLIP target", [83.6, null])
    ]
  },
  {
    table: 7,
    section: "supervised, ImageNet-21K",
    columns: [["parameters", "M"], ["labelled images", "M"], ["ImageNet-1k top-1, 224", "%"], [
      "ImageNet-1k top-1, 384",
      "%"
    ]],
    rows: [
      other("ViT-B/16", [86, 14, null, 84]),
      other("ViT-L/16", [307, 14, null, 85.2]),
      other("ViT-H/14", [632, 14, null, 85.1])
    ]
  },
  {
    table: 7,
    section: "supervised, JFT-300M",
    columns: [["parameters", "M"], ["labelled images", "M"], ["ImageNet-1k top-1, 224", "%"], [
      "ImageNet-1k top-1, 384",
      "%"
    ]],
    rows: [
      other("ViT-B/16", [86, 300, null, 84.2]),
      other("ViT-L/16", [307, 300, null, 87.1]),
      other("ViT-H/14", [632, 300, null, 88])
    ]
  },
  {
    table: 7,
    section: "supervised, JFT-3B",
    columns: [["parameters", "M"], ["labelled images", "M"], ["ImageNet-1k top-1, 224", "%"], [
      "ImageNet-1k top-1, 384",
      "%"
    ]],
    rows: [
      other("ViT-B/16", [86, 3000, null, 86.6]),
      other("ViT-L/16", [307, 3000, null, 88.5])
    ]
  },
  {
    table: 7,
    section: "BEiT, ImageNet-21K twice",
    columns: [["parameters", "M"], ["labelled images", "M"], ["ImageNet-1k top-1, 224", "%"], [
      "ImageNet-1k top-1, 384",
      "%"
    ]],
    rows: [
      other("BEiT ViT-B/16", [86, 14, 85.2, 86.8]),
      other("BEiT ViT-L/16", [307, 14, 87.4, 88.4])
    ]
  },
  {
    table: 7,
    section: "BEiT v2, ImageNet-1K then ImageNet-21K",
    columns: [["parameters", "M"], ["labelled images", "M"], ["ImageNet-1k top-1, 224", "%"], [
      "ImageNet-1k top-1, 384",
      "%"
    ]],
    rows: [
      own("BEiT v2 ViT-B/16", [86, 14, 86.5, 87.5]),
      own("BEiT v2 ViT-L/16", [307, 14, 88.4, 89])
    ]
  }
]
