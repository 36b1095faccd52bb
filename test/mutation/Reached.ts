/** The global set in which the functions of an instrumented source write that they were reached. */
export const REACHED = "__reached"

/** A test, or what the file of tests does outside of its tests (without a name). */
export interface Reached {
  readonly file: string
  readonly name?: string
  readonly milliseconds: number
  /** Functions of sources, as `path#number`. */
  readonly reached: ReadonlyArray<string>
}
