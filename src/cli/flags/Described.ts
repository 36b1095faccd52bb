/** Descriptions of flags, each with the default that the help tells. */
import { Flag } from "effect/cli"

const described = (text: string, otherwise: string) => `${text} (default: ${otherwise})`

/** A flag that is given always; the help marks it. */
export const required = (text: string) => <A>(flag: Flag.Flag<A>): Flag.Flag<A> => Flag.withDescription(flag, text)

/** A flag that is nothing when it is not given; `otherwise` says what happens then. */
export const optional = (text: string, otherwise: string) => <A>(flag: Flag.Flag<A>) =>
  flag.pipe(Flag.withDescription(described(text, otherwise)), Flag.optional)

/** A flag with a value when it is not given, and how the help writes that value. */
export const withDefault =
  <const V>(text: string, value: V, said = String(value)) => <A>(flag: Flag.Flag<A>): Flag.Flag<A | V> =>
    flag.pipe(Flag.withDescription(described(text, said)), Flag.withDefault(value))

/** A switch, which is off when it is not given unless told otherwise. */
export const flag = (name: string, text: string, on = false): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withDescription(described(text, on ? "on" : "off")), Flag.withDefault(on))
