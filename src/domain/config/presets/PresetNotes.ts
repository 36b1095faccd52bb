/**
 * The data of each preset, the source of its values, and its expected accuracy.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PresetNotes } from "patchword/domain"
 *
 * const [finetuned] = PresetNotes.all.base300.expected
 * assert.deepStrictEqual(finetuned, { method: "fine-tuning", top1: 85, source: "paper" })
 * ```
 */
import type { Name } from "./Presets.ts"

/** A published accuracy, in %, and its source. */
export interface Expected {
  readonly method: "fine-tuning" | "linear probe" | "k-NN"
  readonly top1: number
  readonly source: "paper" | "repository" | "demo"
}

/** Notes about a preset. */
export interface Notes {
  readonly network: string
  readonly data: string
  /** Images of the training split. */
  readonly images: number
  /** The source of the values. */
  readonly recipe: string
  /** Published accuracies; may be empty. */
  readonly expected: ReadonlyArray<Expected>
  /** The measured time of a whole run; absent if it was not measured. */
  readonly measured?: string
}

const imagenet = { data: "ImageNet-1k", images: 1_281_167 } as const
const repository = "the official commands"
const paper = "the paper's tables 8 to 11"
const none = "the repository's sizes, with the recipe of large"

const finetuning = (top1: number, source: Expected["source"]): Expected => ({ method: "fine-tuning", top1, source })

/** The notes of every preset. */
export const all: Readonly<Record<Name, Notes>> = {
  tiny: {
    network: "ViT of 5 blocks, width 128, patches of 8 at 48 px",
    data: "emoji",
    images: 3958,
    recipe: "the demo",
    expected: [
      { method: "fine-tuning", top1: 42.7, source: "demo" },
      { method: "linear probe", top1: 44.8, source: "demo" },
      { method: "k-NN", top1: 43.4, source: "demo" }
    ],
    measured: "2.5 to 8 minutes on two cores, with evaluation"
  },
  base: { network: "ViT-B/16", ...imagenet, recipe: repository, expected: [finetuning(85.5, "repository")] },
  base300: {
    network: "ViT-B/16",
    ...imagenet,
    recipe: `${repository}, 300 epochs`,
    expected: [finetuning(85, "paper"), { method: "linear probe", top1: 80.1, source: "paper" }]
  },
  basePaper: { network: "ViT-B/16", ...imagenet, recipe: paper, expected: [finetuning(85.5, "paper")] },
  large: { network: "ViT-L/16", ...imagenet, recipe: repository, expected: [finetuning(87.3, "repository")] },
  large300: {
    network: "ViT-L/16",
    ...imagenet,
    recipe: `${repository}, 300 epochs`,
    expected: [finetuning(86.6, "paper")]
  },
  largePaper: { network: "ViT-L/16", ...imagenet, recipe: paper, expected: [finetuning(87.3, "paper")] },
  "24x544": { network: "ViT of 24 blocks, width 544, patches of 16", ...imagenet, recipe: none, expected: [] },
  huge14: { network: "ViT-H/14", ...imagenet, recipe: none, expected: [] },
  giant14: { network: "ViT-g/14", ...imagenet, recipe: none, expected: [] }
}
