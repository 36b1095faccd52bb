/** The severity of a corruption, from 1 to 5. */
import { Schema } from "effect"

/** The five severities. */
export const Severity = Schema.Literals([1, 2, 3, 4, 5])
export type Severity = typeof Severity.Type

/** A setting for each severity. */
export type Settings<A> = readonly [A, A, A, A, A]

/** Returns the setting of a severity. */
export const pick = <A>(settings: Settings<A>, severity: Severity): A => settings[severity - 1]!
