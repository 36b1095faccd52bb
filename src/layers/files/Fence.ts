/** Fences around folders: only the present owner of a folder changes its files, also where an older one wakes up late. */
import { Context, type Effect, type PlatformError, Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"

/** Another process has taken the folder over. `own` and `present` are the numbers of the two owners. */
export class Superseded extends TaggedError<Superseded>()("Superseded", {
  own: Schema.Int,
  /** Null if the folder has no owner any more. */
  present: Schema.NullOr(Schema.Int)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    const present = this.present === null
      ? "it has no owner now"
      : this.present === this.own
      ? "its owner of this number is another process now"
      : `its owner has number ${this.present} now`
    return `this process was owner ${this.own} of the folder, and ${present}`
  }
  get remedy() {
    return "leave the folder to its present owner. Nothing was written. To go on here, begin again when nobody uses it"
  }
}

/** A folder that this process owns. */
export interface Fence {
  readonly folder: string
  /** Number of this owner. It grows with each taking by force. */
  readonly number: number
  /** Fails if this process is no longer the owner. */
  readonly check: Effect.Effect<void, Superseded | PlatformError.PlatformError>
}

/** The fences that hold for what is written here. A run folder adds its own. */
export const Fences = Context.Reference<ReadonlyArray<Fence>>("patchword/layers/Fences", { defaultValue: () => [] })
