/** The scores of a segmenter on the terminal: splits, then the IoU of each class. */
import type { Figures } from "../../pipelines/report/SegmentationPage.ts"
import * as Print from "./Print.ts"

const { percent } = Print

const none = "–"

/** Renders both tables. */
export const render = ({ found, random }: Figures): string => {
  const foreground = found.some(({ foregroundIou }) => foregroundIou !== undefined)
  const splits = Print.columns([
    [
      "split",
      "images",
      "mIoU, %",
      "mAcc, %",
      "aAcc, %",
      ...(foreground ? ["foreground IoU, %"] : []),
      ...(random === undefined ? [] : ["random weights, mIoU, %"])
    ],
    ...found.map(({ foregroundIou, images, meanAccuracy, meanIou, pixelAccuracy, split }, i) => [
      split,
      String(images),
      percent(meanIou),
      percent(meanAccuracy),
      percent(pixelAccuracy),
      ...(foreground ? [percent(foregroundIou) || none] : []),
      ...(random === undefined ? [] : [percent(random[i]!.meanIou)])
    ])
  ])
  const classes = Print.columns([
    ["IoU, %, by class", ...found.map(({ split }) => split)],
    ...(found[0]?.classes ?? []).map((name, at) => [name, ...found.map(({ iou }) => percent(iou[at]) || none)])
  ])
  return `${splits}\n\n${classes}`
}
