/** Checks masks and quantizers given in code. They must not contradict the configuration. */

/** A part as a configuration names it: a built-in one by its kind, or one given in code by its name. */
export interface Part {
  readonly kind: string
  readonly name?: string
}

const show = ({ kind, name }: Part): string => name === undefined ? kind : `"${name}"`

/**
 * Tests whether a part cannot be used, and returns the reason. `asked` is the part that the configuration names. `given` is the
 * part given in code, with its name in files. `call` shows the call that gives it.
 */
export const problem = (
  what: string,
  call: string,
  asked: Part | undefined,
  given: Part | undefined
): readonly [wrong: boolean, message: string] => {
  if (given?.name === "") return [true, `expected a name for the ${what} given in code, got ""`]
  if (asked === undefined) return [false, ""]
  return given === undefined
    ? [asked.kind === "own", `expected the ${what} ${show(asked)} to be given in code: ${call}`]
    : [
      show(asked) !== show(given),
      `the configuration names the ${what} ${show(asked)}, but ${show(given)} is given in code; remove one of the two`
    ]
}
