/**
 * Finds the columns of a Parquet file that hold durations. Parquet has no type for durations, so only the schema of Arrow
 * shows them.
 */

const CONTINUATION = 0xffffffff
const DURATION = 18

/** Indices of fields in the tables of Arrow's `Message.fbs` and `Schema.fbs`. */
const HEADER = 2
const FIELDS = 1
const [NAME, TYPE] = [0, 2]

/** Returns the names of such columns from an Arrow message in base64. Throws `RangeError` if it ends too early. */
export const arrowDurations = (text: string): ReadonlyArray<string> => {
  const bytes = Buffer.from(text, "base64")
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const word = (at: number) => view.getUint32(at, true)
  const target = (at: number) => at + word(at)
  /** Returns the position of a field of a FlatBuffers table, or undefined if the table lacks it. */
  const field = (table: number, number: number): number | undefined => {
    const places = table - view.getInt32(table, true)
    const entry = 4 + 2 * number
    const offset = entry < view.getUint16(places, true) ? view.getUint16(places + entry, true) : 0
    return offset === 0 ? undefined : table + offset
  }
  // The length precedes the message, and in newer files a marker precedes the length.
  const header = field(target(word(0) === CONTINUATION ? 8 : 4), HEADER)
  const fields = header === undefined ? undefined : field(target(header), FIELDS)
  if (fields === undefined) return []
  const list = target(fields)
  return Array.from({ length: Math.min(word(list), bytes.length) }, (_, i) => target(list + 4 + 4 * i)).flatMap(
    (column) => {
      const [name, type] = [field(column, NAME), field(column, TYPE)]
      if (name === undefined || type === undefined || view.getUint8(type) !== DURATION) return []
      const at = target(name)
      return [bytes.toString("utf8", at + 4, at + 4 + word(at))]
    }
  )
}
