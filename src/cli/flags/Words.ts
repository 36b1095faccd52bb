/** The words of a command line from the values of flags: what a command parses to the same values. */
import { Option } from "effect"

/** Writes the name of a value as that of its flag. */
export const kebab = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

const word = (key: string, value: string): ReadonlyArray<string> =>
  value.startsWith("-") ? [`--${key}=${value}`] : [`--${key}`, value]

/** Writes the values of flags as words. A flag that was not given has none. */
export const of = (given: Readonly<Record<string, unknown>>): ReadonlyArray<string> =>
  Object.entries(given).flatMap(([name, value]): ReadonlyArray<string> => {
    const key = kebab(name)
    if (Option.isOption(value)) {
      return Option.match(value, {
        onNone: () => [],
        onSome: (one) => word(key, String(one))
      })
    }
    if (typeof value === "boolean") return value ? [`--${key}`] : []
    if (Array.isArray(value)) return word(key, value.join(","))
    if (typeof value === "object" && value !== null) {
      return Object.entries(value).flatMap(([member, one]) => word(key, `${member}=${String(one)}`))
    }
    return value === undefined ? [] : word(key, String(value))
  })

/** Writes the values of these flags as words. Others that are given are left out. */
export const ofFlags = (
  given: Readonly<Record<string, unknown>>,
  flags: Readonly<Record<string, unknown>>
): ReadonlyArray<string> => of(Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(flags, name))))
