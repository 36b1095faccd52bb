/**
 * Lines of CSV files (RFC 4180), for pandas and spreadsheets.
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

/** Formats cells as a line. A cell with a comma, a quote or a line break is quoted. */
export const line = (cells: ReadonlyArray<string | number>): string => `${cells.map(cell).join(",")}\n`
