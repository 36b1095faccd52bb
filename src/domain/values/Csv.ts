/**
 * Lines of CSV files (RFC 4180), as pandas and spreadsheets read them.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Csv } from "patchword/domain"
 *
 * assert.strictEqual(Csv.line(["a, b.png", 0.5, "say \"owl\""]), "\"a, b.png\",0.5,\"say \"\"owl\"\"\"\n")
 * ```
 */

const cell = (value: string | number): string => {
  const text = String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
}

/** Cells as a line. A cell with a comma, a quote or a line break stands in quotes. */
export const line = (cells: ReadonlyArray<string | number>): string => `${cells.map(cell).join(",")}\n`
