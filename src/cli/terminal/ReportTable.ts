/** The evaluation of a run as plain text. */
import type { Report, Scores } from "../../domain/evaluation/Report.ts"

const percent = (share: number | undefined): string => (share === undefined ? "" : (100 * share).toFixed(1)).padStart(8)

const row = (name: string, pick: (scores: Scores) => number | undefined, report: Report): string =>
  name.padEnd(26) +
  [report, report.rendition.flat, report.rendition["3d"], report.renditionSeen.flat, report.renditionSeen["3d"]]
    .map((scores) => percent(pick(scores))).join("")

/** Top-1 accuracies in percent by method and test set, and the figures of tokenizer and pretraining. */
export const render = (report: Report): string =>
  [
    "",
    `tokenizer: cosine ${
      report.tokenizer.cosine.toFixed(3)
    }, ${report.tokenizer.usage} of ${report.tokenizer.codebookSize} codes used, perplexity ${
      report.tokenizer.perplexity.toFixed(0)
    }`,
    `pretraining: ${percent(report.pretrain.maskedAccuracy).trim()} % of masked codes right (most frequent code ${
      percent(report.pretrain.majority).trim()
    } %)`,
    "",
    "top-1, %".padEnd(26) +
    ["in-new", "flat-new", "3d-new", "flat-sn", "3d-seen"].map((name) => name.padStart(8)).join(""),
    row("probe, random", ({ probe }) => probe.random, report),
    row("probe, tokenizer", ({ probe }) => probe.tokenizer, report),
    row("probe, pretrained", ({ probe }) => probe.pretrained, report),
    row("k-NN, random", ({ knn }) => knn.random, report),
    row("k-NN, tokenizer", ({ knn }) => knn.tokenizer, report),
    row("k-NN, pretrained", ({ knn }) => knn.pretrained, report),
    row("fine-tuned, random", ({ finetune }) => finetune.random, report),
    row("fine-tuned, pretrained", ({ finetune }) => finetune.pretrained, report),
    "",
    Object.entries(report.seconds).map(([stage, seconds]) => `${stage} ${seconds.toFixed(0)} s`).join(", "),
    ""
  ].join("\n")
