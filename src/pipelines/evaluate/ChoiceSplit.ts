/** The images that a setting of a probe is chosen on. No result is reported of them. */
import { Effect, Runtime, Schema } from "effect"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as ValidationSplit from "../../domain/evaluation/ValidationSplit.ts"
import type * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as FeatureSets from "./FeatureSet.ts"
import type { FeatureSet } from "./FeatureSet.ts"

/** No images can be held out for the choice of a setting. */
export class NothingToChooseOn extends TaggedError<NothingToChooseOn>()("NothingToChooseOn", {
  split: Schema.String,
  /** The keys of the settings in the configuration. */
  settings: Schema.NonEmptyArray(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `no class of ${this.split} has two images, so no image can be held out to choose ${this.settings.join(", ")}`
  }
  get remedy() {
    const flags = this.settings.map((setting) => `--set ${setting}=[...]`).join(" ")
    const [it, one] = this.settings.length === 1 ? ["it", "one value"] : ["them", "one value of each"]
    return `choose ${it} on a split that is not tested (--validation), or give ${one} (${flags})`
  }
}

/** The sets of a probe. */
export interface ProbeSets<S extends FeatureSet = FeatureSet> {
  readonly train: S
  /** The set for the choice of a setting; by default a part of `train` that is held out. */
  readonly validation?: S | undefined
  readonly tests: ReadonlyArray<S>
}

/** The images to learn from and to choose on. */
export interface ChoiceSplit<S extends FeatureSet = FeatureSet> {
  /** `train`, or the part of it that is not held out. */
  readonly rest: S
  /** The places of `rest` in `train`. Undefined if it is the whole of it. */
  readonly places?: Int32Array
  readonly on: Classes.Met<S>
  /** The split, or the part of a split, for the choice. */
  readonly chosenOn: string
}

/**
 * Matches the classes of `validation` with those of `train`. Nothing if there is no `validation`, if it has the images of `train`,
 * or if one of its images is tested under any name. Fails with `ClassesError`.
 */
export const given = Effect.fnUntraced(function*<S extends FeatureSet>(sets: ProbeSets<S>, rule: Classes.Rule) {
  const { tests, train, validation } = sets
  if (validation === undefined || [train, ...tests].some(({ digest }) => digest === validation.digest)) return undefined
  if (yield* FeatureSets.overlaps(validation, tests)) return undefined
  return yield* Effect.fromResult(Classes.meet(train, validation, rule))
})

/**
 * Selects the images for a choice: `validation`, or a share of `train` that is held out by key. The share is taken if there is
 * no `validation`, if it has the images of `train`, or if one of its images is tested under any name.
 *
 * Fails with {@link NothingToChooseOn} if no image can be held out, and with `ClassesError`.
 */
export const of = Effect.fnUntraced(function*<S extends FeatureSet>(
  sets: ProbeSets<S>,
  rule: Classes.Rule,
  held: Pick<KeyedRandom.Key, "purpose" | "seed"> & {
    readonly share?: number
    readonly settings: readonly [string, ...ReadonlyArray<string>]
  }
) {
  const { train } = sets
  const whole = yield* given(sets, rule)
  if (whole !== undefined) {
    const choice: ChoiceSplit<S> = { rest: train, on: whole, chosenOn: whole.set.name }
    return choice
  }
  const parts = ValidationSplit.split(train, held, held.share)
  if (parts.held.length === 0) return yield* new NothingToChooseOn({ split: train.name, settings: held.settings })
  const part: ChoiceSplit<S> = {
    rest: FeatureSets.rows(train, parts.rest),
    places: parts.rest,
    on: yield* Effect.fromResult(Classes.meet(train, FeatureSets.rows(train, parts.held), "fewer")),
    chosenOn: `a held-out part of ${train.name} (${parts.held.length} of ${train.labels.length} images)`
  }
  return part
})
