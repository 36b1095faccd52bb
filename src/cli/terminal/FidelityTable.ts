/** The fidelity of drawn pictures as a table. */
import type * as Fidelity from "../../domain/fidelity/Fidelity.ts"
import * as Print from "./Print.ts"

/** The figures of a split: the fidelity of each way to draw its pictures. */
export interface Figures {
  readonly split: string
  readonly images: number
  readonly methods: Readonly<Record<string, Fidelity.Fidelity>>
}

const range = ({ interval }: Fidelity.Estimate, digits: number): string =>
  interval === undefined ? "" : interval.map((value) => value.toFixed(digits)).join(" to ")

/** Formats figures, a row for each split and way to draw. `titles` are the names of the ways. */
export const render = (all: ReadonlyArray<Figures>, titles: Readonly<Record<string, string>>): string =>
  Print.columns([
    ["split", "images", "drawn by", "PSNR, dB", "95 % interval", "SSIM", "95 % interval"],
    ...all.flatMap(({ images, methods, split }) =>
      Object.entries(methods).map(([method, { psnr, ssim }]) => [
        split,
        String(images),
        titles[method] ?? method,
        psnr.mean.toFixed(2),
        range(psnr, 2),
        ssim.mean.toFixed(3),
        range(ssim, 3)
      ])
    )
  ])
