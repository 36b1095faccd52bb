/** The list of codes as data, for the browser that searches and sorts it. */
import type * as CodeRow from "./CodeRow.ts"

/** A code: its number, its count, red, green, blue, the patches of its strip (negative if its picture is missing), its bits, its classes. */
export type Item = readonly [
  code: number,
  count: number,
  red: number,
  green: number,
  blue: number,
  drawn: number,
  bits: number,
  ...classes: ReadonlyArray<number>
]

/** The list. Codes that do not occur are left out. */
export interface CodeListData extends CodeRow.Sizes {
  /** The number of all patches. */
  readonly patches: number
  /** The names of the classes. */
  readonly names: ReadonlyArray<string>
  /** Most frequent first. */
  readonly codes: ReadonlyArray<Item>
}

/** The place of the data and the addresses of a list, for its script. */
export interface Source {
  readonly data: string
  /** The page of a code, with `{code}` in the place of its number. */
  readonly code: string
  /** The picture of strips, with `{codes}` in the place of their numbers, which a hyphen separates. */
  readonly strips: string
}
