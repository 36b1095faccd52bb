/** Values that have broken readers: names, numbers and structures. */
import type { Draw } from "./Draw.ts"

/** What must never stand in a page as it is. */
export const MARKUP = "<xss7f3a"
export const ATTRIBUTE = "\"onxss7f3a="

/** What a file outside of the folder holds. No message and no page may hold it. */
export const SECRET = "secret-9c1d-of-another-folder"

const long = "n".repeat(300)

export const names: ReadonlyArray<string> = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "",
  ".",
  "..",
  "../outside/secret.json",
  "../../../../../../tmp/patchword-escaped",
  "/etc/hostname",
  "a/../../outside/secret.safetensors",
  "..\\outside\\secret.json",
  "C:\\x",
  "a\u0000b",
  "\u001b[2J\u001b]0;taken\u0007",
  "a\r\nb: c",
  "\u202egnp.exe",
  `${MARKUP} src=x>`,
  `x${ATTRIBUTE}1`,
  `</script>${MARKUP}>`,
  "'; --",
  "\ud800",
  "${7*7}",
  "%2e%2e%2f",
  "nul",
  "-rf",
  "NaN",
  "0",
  "-1",
  long
]

/** Texts of numbers, in JSON and beyond it. */
export const numbers: ReadonlyArray<string> = [
  "0",
  "-0",
  "-1",
  "0.5",
  "1e-320",
  "1e308",
  "1e999",
  "-1e999",
  "2147483647",
  "2147483648",
  "4294967296",
  "9007199254740991",
  "9007199254740993",
  "18446744073709551616",
  "1e15",
  "NaN",
  "Infinity",
  "-Infinity",
  "0x10",
  "1_000",
  "01",
  "100000000000000000000000000000000000000000"
]

export const name = (draw: Draw): string => draw.of(names)

/** A JSON text of one value. Some of them are no JSON. */
export const json = (draw: Draw): string => {
  const kind = draw.below(9)
  if (kind < 3) return draw.of(numbers)
  if (kind < 5) return JSON.stringify(name(draw))
  if (kind === 5) return draw.of(["null", "true", "false", "[]", "{}", "[[]]", "\"\"", "[null]", "undefined"])
  if (kind === 6) {
    const depth = draw.of([8, 63, 64, 65, 3000, 20_000])
    const [open, close] = draw.of([["[", "]"], ["{\"a\":", "}"]] as const)
    return `${open.repeat(depth)}1${close.repeat(depth)}`
  }
  if (kind === 7) return `{${JSON.stringify(name(draw))}:${draw.of(numbers)}}`
  return `[${Array(draw.of([1, 2, 100, 5000])).fill(draw.of(["0", "\"a\"", "{}", "1e999"])).join(",")}]`
}
