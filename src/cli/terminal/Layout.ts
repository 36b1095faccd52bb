/** The layout of text: names with their values, and tables of left-aligned cells. */

const WIDTH = 14

/** A name with its value. Without a value, the row is left out. */
export type Row = readonly [name: string, value: string | undefined]

/** Lays out names with their values, one in a line. */
export const rows = (all: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const width = Math.max(WIDTH, ...all.map(([name]) => name.length))
  return all.flatMap(([name, value]) => value === undefined || value === "" ? [] : [`${name.padEnd(width)} ${value}`])
}

/** Lays out rows of cells in columns. */
export const columns = (all: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const width = (column: number) => Math.max(...all.map((cells) => cells[column]?.length ?? 0))
  return all.map((cells) => cells.map((cell, column) => cell.padEnd(width(column))).join("  ").trimEnd())
}
