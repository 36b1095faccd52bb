/** The state of the GPU, by nvidia-smi. */
import { spawn, spawnSync } from "node:child_process"

const QUERY = [
  "memory.used",
  "utilization.gpu",
  "clocks.sm",
  "clocks.mem",
  "power.draw",
  "temperature.gpu",
  "pstate"
]
const FORMAT = "--format=csv,noheader,nounits"
const MILLISECONDS = 250

/** What the card did while a part ran. Clocks, power and temperature are those of the moments in which it worked. */
export interface Watched {
  readonly samples: number
  /** The card's memory before the part, and at most, in MiB. This includes CUDA itself. */
  readonly mebibytesBefore: number
  readonly mebibytesMost: number
  readonly clockMegahertz: { readonly median: number; readonly least: number }
  readonly memoryClockMegahertz: number
  readonly watts: { readonly median: number; readonly most: number }
  readonly celsiusMost: number
  readonly states: ReadonlyArray<string>
}

const middle = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

/** Sums up lines of nvidia-smi. Undefined if there are none. */
export const summary = (text: string): Watched | undefined => {
  const rows = text.split("\n").map((line) => line.split(",").map((cell) => cell.trim()))
    .filter((row) => row.length === QUERY.length && Number.isFinite(Number.parseFloat(row[0]!)))
  if (rows.length === 0) return undefined
  const busy = rows.filter((row) => Number(row[1]) > 0)
  const working = busy.length > 0 ? busy : rows
  const column = (place: number, of = working) => of.map((row) => Number(row[place])).filter(Number.isFinite)
  return {
    samples: rows.length,
    mebibytesBefore: column(0, rows)[0]!,
    mebibytesMost: Math.max(...column(0, rows)),
    clockMegahertz: { median: middle(column(2)), least: Math.min(...column(2)) },
    memoryClockMegahertz: middle(column(3)),
    watts: { median: middle(column(4)), most: Math.max(...column(4)) },
    celsiusMost: Math.max(...column(5)),
    states: [...new Set(working.map((row) => row[6]!))]
  }
}

/** Watches the card until the returned function is called, which sums up. Without nvidia-smi there is nothing to sum up. */
export const watch = (): () => Watched | undefined => {
  const child = spawn("nvidia-smi", [`--query-gpu=${QUERY}`, FORMAT, "-i", "0", "-lms", `${MILLISECONDS}`], {
    stdio: ["ignore", "pipe", "ignore"]
  })
  let text = ""
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()))
  child.on("error", () => undefined)
  return () => {
    child.kill("SIGKILL")
    return summary(text)
  }
}

const ABOUT = [
  "name",
  "driver_version",
  "memory.total",
  "power.limit",
  "clocks.max.sm",
  "clocks.max.mem",
  "compute_cap"
]

/** The card and what else uses it, or undefined without nvidia-smi. */
export const about = () => {
  const { status, stdout } = spawnSync("nvidia-smi", [`--query-gpu=${ABOUT}`, FORMAT, "-i", "0"], { encoding: "utf8" })
  if (status !== 0) return undefined
  const [name, driver, mebibytes, watts, megahertz, memoryMegahertz, capability] = stdout.trim().split(/\s*,\s*/)
  const others = spawnSync("nvidia-smi", ["--query-compute-apps=pid,name,used_memory", FORMAT], { encoding: "utf8" })
  return {
    name,
    driver,
    mebibytes,
    watts,
    megahertz,
    memoryMegahertz,
    capability,
    others: others.stdout.trim().split("\n").filter((line) => line !== "")
  }
}
