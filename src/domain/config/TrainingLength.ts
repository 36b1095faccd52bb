/**
 * The length of a training in common words: `epochs`, `steps`, `warmupEpochs` and `warmupSteps` replace `unit`, `duration` and
 * `warmup`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Preset, Presets } from "patchword/domain"
 *
 * const long = Effect.runSync(Preset.with(Presets.tiny, { pretrain: { optimizer: { epochs: 20, warmupEpochs: 2 } } }))
 * const { duration, unit, warmup } = long.pretrain.optimizer
 * assert.deepStrictEqual([unit, duration, warmup], ["epochs", 20, 2])
 * ```
 */
import type { Schema } from "effect"
import type * as Json from "../values/Json.ts"

/** The words that may replace `unit`, `duration` and `warmup`. */
export type Said = {
  readonly epochs?: number | undefined
  readonly steps?: number | undefined
  readonly warmupEpochs?: number | undefined
  readonly warmupSteps?: number | undefined
}

const LENGTHS = ["epochs", "steps"] as const
const WARMUPS = ["warmupEpochs", "warmupSteps"] as const

/** The names of {@link Said}. */
export const names: ReadonlyArray<string> = [...LENGTHS, ...WARMUPS]

type Members = { readonly [key: string]: Json.Json | undefined }

/** The stored form of a length, or the problem of a key. */
export type Resolved =
  | { readonly _tag: "Length"; readonly length: Schema.JsonObject; readonly saidAs: Readonly<Record<string, string>> }
  | { readonly _tag: "Contradiction"; readonly key: string; readonly message: string }

/**
 * Computes the stored length from changes. If the unit changes and no warmup is given, the warmup keeps its share of the
 * duration, rounded down.
 *
 * @returns undefined if the changes hold none of {@link names}.
 */
export const resolve = (stored: Members, changes: Members): Resolved | undefined => {
  const given = (keys: ReadonlyArray<string>) =>
    keys.filter((key) => Object.hasOwn(changes, key) && changes[key] !== undefined)
  const [length, ...lengths] = given([...LENGTHS, "duration"])
  const [warmup, ...warmups] = given([...WARMUPS, "warmup"])
  if (given(names).length === 0) return undefined
  const twice = (key: string, other: string): Resolved => (
    { _tag: "Contradiction", key: other, message: `expected ${key} or ${other}, got both` }
  )
  if (lengths.length > 0) return twice(length!, lengths[0]!)
  if (warmups.length > 0) return twice(warmup!, warmups[0]!)
  const unit = length === "epochs" || length === "steps" ? length : changes.unit ?? stored.unit!
  if (changes.unit !== undefined && changes.unit !== unit) {
    return {
      _tag: "Contradiction",
      key: "unit",
      message: `expected ${unit}, as the length is, got ${JSON.stringify(changes.unit)}`
    }
  }
  const counted = warmup === "warmupEpochs" ? "epochs" : warmup === "warmupSteps" ? "steps" : unit
  if (counted !== unit) {
    const message = `expected a warm-up in ${String(unit)}, as the duration is; give both in ${counted}, or warmup${
      unit === "steps" ? "Steps" : "Epochs"
    }`
    return { _tag: "Contradiction", key: warmup!, message }
  }
  const duration = length === undefined ? stored.duration! : changes[length]!
  const share = unit !== stored.unit && typeof duration === "number"
    ? Math.floor(duration * Number(stored.warmup) / Number(stored.duration))
    : stored.warmup!
  return {
    _tag: "Length",
    length: { unit, duration, warmup: warmup === undefined ? share : changes[warmup]! },
    saidAs: { duration: length ?? "duration", warmup: warmup ?? "warmup" }
  }
}
