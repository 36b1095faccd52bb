/** The table of ratios: our ways beside PyTorch's at the same precision, with the goals. */
import { groupOf, INFERENCE, keyOf, type Part, ways } from "./parts.ts"
import type { Entry, Figures, Results } from "./results.ts"

/** The least ratio to PyTorch eager at a large batch, by precision; at a small batch; and of inferences. */
const LARGE: Readonly<Record<string, number>> = { fp32: 1.1, tf32: 1.2, bf16: 1.5 }
const SMALL = 1.5
const SEEING = 1.3
const COMPILED = 1
const MANY = 64

/** The least ratio of images per second to PyTorch eager. */
export const goalOf = ({ batch, precision, stage }: Part): number =>
  INFERENCE.includes(stage) ? SEEING : batch < MANY ? SMALL : LARGE[precision]!

/** The greatest relative difference of losses, or of results, that rounding explains. */
const TOLERANCE: Readonly<Record<string, number>> = { fp32: 1e-3, tf32: 5e-3, bf16: 3e-2 }
/** The least share of equal codes. A code changes where two are as near. */
const EQUAL: Readonly<Record<string, number>> = { fp32: 0.99, tf32: 0.95, bf16: 0.8 }

/** Whether two engines compute the same: a difference, or a share of equal codes, and whether it is within the tolerance. */
export interface Agreement {
  readonly difference?: number
  readonly equalCodes?: number
  readonly agrees: boolean
}

const digits = (value: number, count = 3): number => Number(value.toPrecision(count))

const norm = (values: ReadonlyArray<number>): number => Math.hypot(...values)

/** Compares the first losses, or results, with those of PyTorch. */
export const agreement = ({ precision, stage }: Part, ours: Figures, theirs: Figures): Agreement | undefined => {
  const of = ({ losses, output }: Figures) => losses ?? output ?? []
  const [a, b] = [of(ours), of(theirs)]
  const count = Math.min(a.length, b.length)
  if (count === 0) return undefined
  if (stage === "codes") {
    const equalCodes = a.slice(0, count).filter((code, place) => code === b[place]).length / count
    return { equalCodes: digits(equalCodes), agrees: equalCodes >= EQUAL[precision]! }
  }
  const apart = a.slice(0, count).map((value, place) => value - b[place]!)
  const difference = stage === "features"
    ? norm(apart) / norm(b.slice(0, count))
    : Math.max(...apart.map((value, place) => Math.abs(value / b[place]!)))
  return { difference: digits(difference), agrees: difference <= TOLERANCE[precision]! }
}

/** A measured way of a step. Ratios above 1 say that ours is faster, or takes less memory. */
export interface Row extends Part {
  readonly by: string
  readonly ms: number
  readonly least: number
  readonly most: number
  readonly imagesPerSecond: number
  readonly mebibytes?: number
  readonly eager?: number
  readonly goal?: number
  readonly compiled?: number
  readonly memory?: number
  readonly agreement?: Agreement
  /** True if all ratios that are there reach their goals. */
  readonly reached?: boolean
}

const taken = ({ card, figures }: Entry): number | undefined =>
  card === undefined ? figures?.mebibytes?.["peak"] : card.mebibytesMost - card.mebibytesBefore

const own = (entry: Entry, figures: Figures, others: ReadonlyArray<Entry>) => {
  const eager = others.find(({ way }) => way === "eager")
  const compiled = others.filter(({ way }) => ways[way]?.compile !== undefined)
    .map((one) => one.figures!.imagesPerSecond)
  const [mine, theirs] = [taken(entry), eager && taken(eager)]
  const ratios = {
    ...(eager?.figures && { eager: digits(figures.imagesPerSecond / eager.figures.imagesPerSecond) }),
    ...(compiled.length > 0 && { compiled: digits(figures.imagesPerSecond / Math.max(...compiled)) }),
    ...(mine !== undefined && theirs !== undefined && { memory: digits(theirs / mine) })
  }
  const goal = goalOf(entry)
  const same = eager?.figures && agreement(entry, figures, eager.figures)
  return {
    ...ratios,
    goal,
    ...(same && { agreement: same }),
    reached: (ratios.eager ?? 0) >= goal && (ratios.compiled ?? Infinity) >= COMPILED && (ratios.memory ?? 1) >= 1 &&
      (same?.agrees ?? true)
  }
}

/** A row for each part that has figures, without profiles. */
export const rows = (parts: Results["parts"]): ReadonlyArray<Row> => {
  const measured = Object.values(parts).filter(({ figures, way }) => figures !== undefined && !ways[way]!.profile)
  return measured.map((entry) => {
    const { batch, model, precision, stage, way } = entry
    const figures = entry.figures!
    const mebibytes = taken(entry)
    const { by } = ways[way]!
    const others = measured.filter((one) => groupOf(one) === groupOf(entry))
    return {
      model,
      stage,
      batch,
      precision,
      way,
      by,
      ms: digits(figures.stepMs.median, 4),
      least: digits(figures.stepMs.least, 4),
      most: digits(figures.stepMs.most, 4),
      imagesPerSecond: digits(figures.imagesPerSecond, 4),
      ...(mebibytes === undefined ? {} : { mebibytes }),
      ...(by === "patchword" ? own(entry, figures, others) : {})
    }
  })
}

const cell = (value: number | undefined): string => value === undefined ? "" : `${value}`

const sameness = (same: Agreement | undefined): string => {
  if (same === undefined) return ""
  const found = same.equalCodes === undefined ? `off by ${same.difference}` : `${same.equalCodes} of the codes`
  return same.agrees ? found : `**${found}**`
}

const HEAD = [
  "step",
  "precision",
  "way",
  "ms (least to most)",
  "images/s",
  "÷ eager",
  "goal",
  "÷ best compile",
  "MiB",
  "PyTorch's MiB ÷ ours",
  "beside PyTorch",
  "goals"
]

const list = (title: string, items: ReadonlyArray<string>): ReadonlyArray<string> =>
  items.length === 0 ? [] : ["", `## ${title}`, "", ...items.map((item) => `* ${item}`)]

const FEW = 15

/** The longest kinds of launches of a profiled part. */
const profiled = (entry: Entry): ReadonlyArray<string> => {
  const { profile } = entry.figures!
  if (profile === undefined) return []
  return [
    "",
    `## ${keyOf(entry)}: ${profile.launches} launches a step, ${profile.ms} ms`,
    "",
    "| kind of launch | a step | ms a step |",
    "| --- | --- | --- |",
    ...profile.kinds.slice(0, FEW).map(({ count, ms, name }) => `| ${name.slice(0, 80)} | ${count} | ${ms} |`)
  ]
}

/** A sentence for each thing that is missing, with all ways that need it. */
export const lacking = (lacks: Results["lacks"]): ReadonlyArray<string> =>
  [...new Set(Object.values(lacks))].map((reason) => {
    const names = Object.entries(lacks).flatMap(([way, one]) => one === reason ? way : [])
    return `${names.join(", ")}: ${reason}`
  })

/** The results as a page in Markdown. `plan` names the parts that are still to be measured. */
export const page = ({ lacks, machine, parts, setting }: Results, plan: ReadonlyArray<Part>): string => {
  const failed = Object.values(parts).filter(({ reason }) => reason !== undefined)
  const left = plan.filter((part) => parts[keyOf(part)] === undefined && lacks[part.way] === undefined)
  return [
    "# patchword beside PyTorch on one device",
    "",
    "```json",
    JSON.stringify({ ...setting, ...machine }, undefined, 2),
    "```",
    "",
    `| ${HEAD.join(" | ")} |`,
    `| ${HEAD.map(() => "---").join(" | ")} |`,
    ...rows(parts).map((row) => {
      const { batch, goal, imagesPerSecond, least, mebibytes, memory, model, most, ms, precision, stage, way } = row
      const reached = row.reached === undefined ? "" : row.reached ? "reached" : "missed"
      const cells = [
        `${model} ${stage}, batch ${batch}`,
        precision,
        way,
        `${ms} (${least} to ${most})`,
        cell(imagesPerSecond),
        cell(row.eager),
        cell(goal),
        cell(row.compiled),
        cell(mebibytes),
        cell(memory),
        sameness(row.agreement),
        reached
      ]
      return `| ${cells.join(" | ")} |`
    }),
    ...Object.values(parts).filter(({ figures }) => figures !== undefined).flatMap(profiled),
    ...list("This machine lacks", lacking(lacks)),
    ...list("Failed", failed.map((entry) => `${keyOf(entry)}: ${entry.reason}`)),
    ...list("Not measured yet", left.map(keyOf)),
    ""
  ].join("\n")
}
