/** The evaluation of a run as plain text. */
import type { Report, Scores } from "../../domain/evaluation/Report.ts"
import * as Numbers from "../../pipelines/report/Numbers.ts"
import * as Print from "./Print.ts"

// All columns together are narrower than a terminal of 80 characters.
const NAMES = 23
const WIDTH = 11

const row = (name: string, pick: (scores: Scores) => number | undefined, report: Report): string =>
  name.padEnd(NAMES) +
  [report, report.rendition.flat, report.rendition["3d"], report.renditionSeen.flat, report.renditionSeen["3d"]]
    .map((scores) => Print.percent(pick(scores)).padStart(WIDTH)).join("")

const plain = (text: string): string => text.replaceAll(Numbers.SPACE, " ")

/** Top-1 accuracies in percent by method and test split, and the figures of tokenizer and pretraining. */
export const render = (report: Report): string => {
  const { pretrain, seconds, tokenizer } = report
  const times = Object.entries(seconds).map(([stage, time]) => `${stage} ${plain(Numbers.duration(time))}`)
  return [
    "",
    `tokenizer: cosine ${tokenizer.cosine.toFixed(3)}, ${tokenizer.usage} of ${tokenizer.codebookSize} codes used, ` +
    `perplexity ${tokenizer.perplexity.toFixed(0)}`,
    `pretraining: ${plain(Numbers.percent(pretrain.maskedAccuracy))} of masked codes predicted, ` +
    `the most frequent code alone ${plain(Numbers.percent(pretrain.majority))}`,
    "",
    "top-1 accuracy, %".padEnd(NAMES) +
    ["in-new", "flat-new", "3d-new", "flat-seen", "3d-seen"].map((name) => name.padStart(WIDTH)).join(""),
    row("probe, random", ({ probe }) => probe.random, report),
    row("probe, tokenizer", ({ probe }) => probe.tokenizer, report),
    row("probe, pretrained", ({ probe }) => probe.pretrained, report),
    row("k-NN, random", ({ knn }) => knn.random, report),
    row("k-NN, tokenizer", ({ knn }) => knn.tokenizer, report),
    row("k-NN, pretrained", ({ knn }) => knn.pretrained, report),
    row("fine-tuned, random", ({ finetune }) => finetune.random, report),
    row("fine-tuned, pretrained", ({ finetune }) => finetune.pretrained, report),
    "",
    "in: styles of training; flat, 3d: other styles; new: other concepts than in training",
    "random: the same network at random initialisation",
    `time: ${times.join(", ")}`,
    ""
  ].join("\n")
}
