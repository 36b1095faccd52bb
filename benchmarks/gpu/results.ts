/** The file of results. It is whole at any moment: each new state takes its place at once. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Watched } from "./card.ts"
import type { Part } from "./parts.ts"
import type { Profile } from "./profile.ts"

/** What a process measured. */
export interface Figures {
  readonly engine: string
  readonly version: string
  readonly stepMs: {
    readonly median: number
    readonly least: number
    readonly most: number
    readonly quarter: number
    readonly threeQuarters: number
    readonly steps: number
  }
  readonly imagesPerSecond: number
  /** Until the engine was there, until the step was open, and for the first step. Compilation is in the second or third. */
  readonly seconds: { readonly start: number; readonly open: number; readonly first: number }
  /** The losses of the first steps, or the first numbers of the result. */
  readonly losses?: ReadonlyArray<number>
  readonly output?: ReadonlyArray<number>
  /** The memory of the card by the engine's own figures, in MiB. */
  readonly mebibytes?: Readonly<Record<string, number>>
  readonly profile?: Profile
}

/** The result of a part: figures, or the reason why there are none. */
export interface Entry extends Part {
  readonly figures?: Figures
  readonly reason?: string
  /** The time of the whole process. */
  readonly seconds: number
  readonly card?: Watched | undefined
}

/** All results so far, by the keys of their parts. */
export interface Results {
  /** What two runs must have in common, so that the second can go on with the first. */
  readonly setting: Readonly<Record<string, unknown>>
  readonly machine: Readonly<Record<string, unknown>>
  /** What the machine lacks, by way. */
  readonly lacks: Readonly<Record<string, string>>
  readonly parts: Readonly<Record<string, Entry>>
}

const NAME = "results.json"

/** Puts a file into a folder, whole or not at all. */
export const put = (folder: string, name: string, text: string): void => {
  mkdirSync(folder, { recursive: true })
  const fresh = join(folder, `.${name}.part`)
  writeFileSync(fresh, text, { flush: true })
  renameSync(fresh, join(folder, name))
}

/** Writes the results. */
export const write = (folder: string, results: object): void =>
  put(folder, NAME, `${JSON.stringify(results, undefined, 2)}\n`)

/** Reads the results of a folder; undefined if there are none. */
export const read = (folder: string): Results | undefined => {
  const file = join(folder, NAME)
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined
}
