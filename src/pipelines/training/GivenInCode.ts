/** What is given in code, a mask or a quantizer, beside what a configuration names: the two must not contradict each other. */

/** A part as a configuration names it: one of ours by its kind, or one that is given in code by its name. */
export interface Part {
  readonly kind: string
  readonly name?: string
}

const show = ({ kind, name }: Part): string => name === undefined ? kind : `"${name}"`

/**
 * Whether a part cannot be used, and the sentence that says why. `asked` is what the configuration names, `given` what files are to
 * call the one that is given in code, and `call` shows where to give it.
 */
export const problem = (
  what: string,
  call: string,
  asked: Part | undefined,
  given: Part | undefined
): readonly [wrong: boolean, message: string] => {
  if (given?.name === "") return [true, `expected a name for the ${what} that is given in code, got ""`]
  if (asked === undefined) return [false, ""]
  return given === undefined
    ? [asked.kind === "own", `expected the ${what} ${show(asked)} to be given in code: ${call}`]
    : [
      show(asked) !== show(given),
      `the configuration names the ${what} ${show(asked)}, but ${
        show(given)
      } is given in code; leave out one of the two`
    ]
}
