/** Formats of numbers on the page. */

/** A narrow space without a line break, as before a unit. */
export const SPACE = "\u202f"

/** Formats `0.4523` as `45.2 %`. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)}${SPACE}%`

/** Formats a share as {@link percent} does, but one that is not zero never as zero: `<0.1 %`. */
export const part = (share: number): string => share > 0 && share < 0.0005 ? `<0.1${SPACE}%` : percent(share)

/** Formats a difference of two shares in points: `+9.2`. */
export const points = (difference: number): string => {
  const text = (100 * Math.abs(difference)).toFixed(1)
  return `${text === "0.0" ? "±" : difference < 0 ? "−" : "+"}${text}`
}

/** Formats a time: `7 min 12 s`, `43 s`, `0.4 s`. */
export const duration = (seconds: number): string => {
  if (seconds < 10) return `${seconds.toFixed(1)}${SPACE}s`
  const whole = Math.round(seconds)
  const minutes = whole < 60 ? [] : [`${Math.floor(whole / 60)}${SPACE}min`]
  const rest = whole % 60 === 0 ? [] : [`${whole % 60}${SPACE}s`]
  return [...minutes, ...rest].join(" ")
}

/** Formats a number with four significant digits, without trailing zeros. */
export const short = (value: number): string => String(Number(value.toPrecision(4)))

/** Formats a count with thin spaces between its thousands. */
export const count = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, SPACE)
