/** The data from which the browser begins to follow a run. */
import type { Band } from "../../domain/evaluation/Report.ts"

/** The address of the run's news, and the expected curves. */
export interface Following {
  readonly events: string
  readonly expected: ReadonlyArray<Band>
}

/** A point of a curve, as an event brings it. */
export type Point = readonly [stage: string, metric: string, step: number, value: number]
