/** Engines of ours and ways to run PyTorch, measured in turn: ratios to the best of PyTorch's. */

/** A way to run PyTorch. */
export interface Way {
  readonly name: string
  readonly environment: Readonly<Record<string, string>>
  readonly compile: boolean
}

// Otherwise glibc gives large arrays back to the system after each operator.
const TUNED = {
  MALLOC_MMAP_THRESHOLD_: `${8 * 2 ** 30}`,
  MALLOC_TRIM_THRESHOLD_: `${16 * 2 ** 30}`,
  MALLOC_TOP_PAD_: `${2 ** 28}`
}

/** All ways to run PyTorch: each with and without torch.compile and a tuned allocator. */
export const ways: ReadonlyArray<Way> = [
  { name: "plain", environment: {}, compile: false },
  { name: "tuned", environment: TUNED, compile: false },
  { name: "compiled", environment: {}, compile: true },
  { name: "compiled-tuned", environment: TUNED, compile: true }
]

/** What a process measured. */
export interface Figures {
  readonly engine: string
  readonly version: string
  readonly imagesPerSecond: number
  readonly matmulGigaflopsPerSecond: number
  readonly peakMegabytes: number
}

/** One of those that take turns: an engine of ours or a way to run PyTorch, with its figures of each round. */
export interface Contender {
  readonly by: "patchword" | "PyTorch"
  readonly way: string
  readonly precision: string
  readonly rounds: ReadonlyArray<Figures>
}

const digits = (value: number) => Number(value.toPrecision(3))

/** The middle of several numbers; of an even number of them, the mean of both in the middle. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const half = (sorted.length - 1) / 2
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half)]!) / 2
}

const rate = ({ imagesPerSecond }: Figures) => imagesPerSecond
const products = ({ matmulGigaflopsPerSecond }: Figures) => matmulGigaflopsPerSecond
const besideProducts = (figures: Figures) => rate(figures) / products(figures)

const middle = ({ rounds }: Contender, of: (figures: Figures) => number) => median(rounds.map(of))

/** The fastest of PyTorch's ways at a precision, by the median of its rounds; undefined if there is none. */
const bestOf = (contenders: ReadonlyArray<Contender>, precision: string): Contender | undefined =>
  contenders
    .filter((one) => one.by === "PyTorch" && one.precision === precision)
    .toSorted((a, b) => middle(b, rate) - middle(a, rate))[0]

// Round by round, because the speed of a machine changes by more than contenders differ.
const ratios = ({ rounds }: Contender, other: Contender, of: (figures: Figures) => number) =>
  rounds.map((figures, round) => of(figures) / of(other.rounds[round]!))

/** Ratios of a contender to the best of PyTorch's ways. */
const toBest = (one: Contender, best: Contender) => {
  const all = ratios(one, best, rate)
  return {
    best: one === best,
    ratio: digits(median(all)),
    leastRatio: digits(Math.min(...all)),
    greatestRatio: digits(Math.max(...all)),
    ratioBesideProducts: digits(median(ratios(one, best, besideProducts)))
  }
}

/**
 * A row for each contender: the medians of its rounds, and its ratios to the best of PyTorch's ways at the same precision.
 * `ratioBesideProducts` is the ratio of rates that are divided by the contender's own rate at matrix products. Other
 * precisions have `ratioToFp32`, the ratio to the best way at fp32. Without such a way, its ratios are absent. All contenders
 * have the same number of rounds.
 */
export const rows = (contenders: ReadonlyArray<Contender>) =>
  contenders.map((one) => {
    const { by, precision, rounds, way } = one
    const best = bestOf(contenders, precision)
    const plain = precision === "fp32" ? undefined : bestOf(contenders, "fp32")
    return {
      by,
      way,
      precision,
      engine: [...new Set(rounds.map(({ engine, version }) => `${engine}, ${version}`))].join(" or "),
      imagesPerSecond: digits(middle(one, rate)),
      ...(best === undefined ? {} : toBest(one, best)),
      ...(plain === undefined ? {} : { ratioToFp32: digits(median(ratios(one, plain, rate))) }),
      productGigaflops: digits(middle(one, products)),
      megabytes: Math.max(...rounds.map(({ peakMegabytes }) => peakMegabytes))
    }
  })
