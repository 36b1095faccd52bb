/** Charts beside each other in one picture: what the benchmarks keep in `benchmarks/results/NAME.json` and draw into `docs/NAME.svg`. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const kept = (name: string): string => file(`results/${name}.json`)

/** The sizes of a picture in pixels. */
export interface Sizes {
  readonly width: number
  readonly height: number
  readonly left: number
  readonly top: number
  readonly gap: number
  /** The space below the charts. */
  readonly bottom: number
}

/** A chart from 0 on. */
export interface Chart {
  readonly title: string
  /** The ends of the axes. */
  readonly steps: number
  readonly most: number
  /** The text at the upper end. */
  readonly label: number
  /** Draws the lines. `at` returns the place of a value. */
  readonly lines: (at: (step: number, value: number) => string) => ReadonlyArray<string>
}

const chart =
  ({ gap, height, left, top, width }: Sizes) => ({ label, lines, most, steps, title }: Chart, place: number) => {
    const [x0, y0] = [left + place * (width + gap), top + height]
    const at = (step: number, value: number) =>
      `${(x0 + (step / steps) * width).toFixed(1)},${(y0 - (value / most) * height).toFixed(1)}`
    return `<text x="${x0}" y="${top - 8}" font-weight="bold">${title}</text>
<path d="M${x0},${top} V${y0} H${x0 + width}" fill="none" stroke="#9ca3af"/>
<text x="${x0 - 4}" y="${top + 8}" text-anchor="end">${label}</text>
<text x="${x0 - 4}" y="${y0}" text-anchor="end">0</text>
<text x="${x0 + width}" y="${y0 + 14}" text-anchor="end">step ${steps}</text>
${lines(at).join("\n")}`
  }

/** Draws charts into the picture of a page. `legend` is above them. */
export const draw = (
  name: string,
  sizes: Sizes,
  charts: ReadonlyArray<Chart>,
  legend: ReadonlyArray<string> = []
): void => {
  const { bottom, gap, height, left, top, width } = sizes
  const [wide, high] = [left + charts.length * (width + gap), top + height + bottom]
  writeFileSync(
    file(`../docs/${name}.svg`),
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${wide} ${high}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
${[...legend, ...charts.map(chart(sizes))].join("\n")}
</svg>
`
  )
}

/** Keeps results, with the machine that made them. */
export const keep = (name: string, results: object): void => {
  mkdirSync(file("results"), { recursive: true })
  const machine = { machine: cpus()[0]!.model, cores: cpus().length, node: process.version }
  writeFileSync(kept(name), `${JSON.stringify({ ...machine, ...results })}\n`)
}

/** Reads results that were kept. */
export const read = (name: string) => JSON.parse(readFileSync(kept(name), "utf8"))
