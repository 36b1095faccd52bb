/** The layout of text: names with their values, and tables of left-aligned cells. */

const WIDTH = 14

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/**
 * Escapes the characters of a text that could change a terminal or leave their line, as JSON does: `\n`, `\u001b`. Names of files may have
 * any characters. Files of data keep them.
 */
export const plain = (text: string): string =>
  text.replaceAll(
    // Control characters, ends of lines, and those that turn the direction of writing.
    /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu,
    (found) => SHORT[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** A name with its value. Without a value, the row is left out. */
export type Row = readonly [name: string, value: string | undefined]

/** Lays out names with their values, one in a line. */
export const rows = (all: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const width = Math.max(WIDTH, ...all.map(([name]) => name.length))
  return all.flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [plain(`${name.padEnd(width)} ${value}`)]
  )
}

/** Lays out rows of cells in columns. */
export const columns = (all: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const shown = all.map((cells) => cells.map(plain))
  const width = (column: number) => Math.max(...shown.map((cells) => cells[column]?.length ?? 0))
  return shown.map((cells) => cells.map((cell, column) => cell.padEnd(width(column))).join("  ").trimEnd())
}
