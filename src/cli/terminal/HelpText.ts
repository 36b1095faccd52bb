/** The help of a command as text of at most 100 columns. */
import { Option } from "effect"
import type { HelpDoc } from "effect/cli"

const COLUMNS = 100
const LEFT = 28

/** A text in lines of at most `width` characters, parted at spaces. */
const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

interface Row {
  readonly left: string
  readonly right: string
}

/** Two columns. A name that is too long for the first stands in a line of its own. */
const rows = (table: ReadonlyArray<Row>, longest = 0): ReadonlyArray<string> => {
  const width = Math.min(LEFT, Math.max(longest, ...table.map(({ left }) => left.length)) + 2)
  return table.flatMap(({ left, right }) => {
    const [first = "", ...rest] = wrap(right, COLUMNS - 2 - width)
    const more = rest.map((line) => " ".repeat(2 + width) + line)
    return left.length + 2 > width
      ? [`  ${left}`, " ".repeat(2 + width) + first, ...more]
      : [`  ${left.padEnd(width)}${first}`.trimEnd(), ...more]
  })
}

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", title, ...lines]

const REQUIRED = " (required)"

const flag = ({ aliases, description, name, required, type }: HelpDoc.FlagDoc): Row => ({
  left: [`--${name}`, ...aliases].join(", ") + (type === "boolean" || type.length > LEFT ? "" : ` ${type}`),
  right: Option.getOrElse(description, () => "") + (required ? REQUIRED : "")
})

const argument = ({ description, name, required, variadic }: HelpDoc.ArgDoc): Row => ({
  left: name + (variadic ? "..." : ""),
  right: Option.getOrElse(description, () => "") + (required ? REQUIRED : "")
})

/** The help of a command. Flags that all commands take are in that of the first one. */
export const format = (doc: HelpDoc.HelpDoc): string => {
  const { args = [], commandPath = [], description, examples = [], flags, globalFlags = [], subcommands = [], usage } =
    doc
  const isRoot = commandPath.length <= 1
  const longest = Math.max(...subcommands.flatMap(({ commands }) => commands.map(({ name }) => name.length)))
  return [
    ...wrap(description, COLUMNS),
    ...section("USAGE", [`  ${usage}`]),
    ...section("ARGUMENTS", args.length === 0 ? [] : rows(args.map(argument))),
    // The required ones first.
    ...section(
      "FLAGS",
      flags.length === 0 ? [] : rows(flags.toSorted((a, b) => Number(b.required) - Number(a.required)).map(flag))
    ),
    ...subcommands.flatMap(({ commands, group = "COMMANDS" }) =>
      section(
        group.toUpperCase(),
        rows(
          commands.map(({ description, name, shortDescription }) => ({
            left: name,
            right: shortDescription ?? description
          })),
          longest
        )
      )
    ),
    ...(isRoot ? section("FLAGS OF EVERY COMMAND", rows(globalFlags.map(flag))) : []),
    ...section("EXAMPLES", examples.map(({ command }) => `  ${command}`))
  ].join("\n")
}
