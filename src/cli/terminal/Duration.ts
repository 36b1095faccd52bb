/** Times in units that fit them. */

const UNITS = [[1, "s"], [60, "min"], [3600, "h"], [86_400, "days"], [31_557_600, "years"]] as const

/** Formats a time in the largest unit of which there are at least two; `shown` formats the number. */
export const show = (seconds: number, shown: (value: number) => string): string => {
  const [size, unit] = UNITS.findLast(([size]) => seconds >= 2 * size) ?? UNITS[0]
  return `${shown(seconds / size)} ${unit}`
}
