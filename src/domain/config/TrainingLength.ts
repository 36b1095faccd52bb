/**
 * The length of a training in common words: `epochs`, `steps`, `warmupEpochs` and `warmupSteps` replace `unit`, `duration` and
 * `warmup`. A warmup in the other unit than the duration's sets `warmupUnit`.
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
import * as Json from "../values/Json.ts"

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

/** Returns the paths of the stored values that are set by a path whose last key may be one of {@link names}. */
export const stored = (path: string): ReadonlyArray<string> => {
  const place = path.slice(0, path.lastIndexOf(".") + 1)
  const word = path.slice(place.length)
  return LENGTHS.some((name) => name === word)
    ? [`${place}unit`, `${place}duration`]
    : WARMUPS.some((name) => name === word)
    ? [`${place}warmup`, `${place}warmupUnit`]
    : [path]
}

type Members = { readonly [key: string]: Json.Json | undefined }

/** The stored form of a length, or the problem of a key. */
export type Resolved =
  | { readonly _tag: "Length"; readonly length: Schema.JsonObject; readonly saidAs: Readonly<Record<string, string>> }
  | { readonly _tag: "Contradiction"; readonly key: string; readonly message: string }

/**
 * Computes the stored length from changes. If no warmup is given, and the unit changes or the former warmup is not shorter than
 * the duration, the warmup keeps its share of the duration, rounded down. A warmup with a unit of its own stays.
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
      message: `expected ${unit}, the unit of the length, got ${JSON.stringify(changes.unit)}`
    }
  }
  const counted = warmup === "warmupEpochs" ? "epochs" : warmup === "warmupSteps" ? "steps" : unit
  // The former warmup keeps its unit. A new one has that of its name, or the duration's.
  const own = warmup === undefined ? changes.warmupUnit ?? stored.warmupUnit : changes.warmupUnit ?? counted
  const apart = own !== undefined && own !== unit
  const duration = length === undefined ? stored.duration! : changes[length]!
  // A warmup in another unit than the former duration has no share of it.
  const fits = apart || (stored.warmupUnit ?? stored.unit) !== stored.unit ||
    unit === stored.unit && Number(stored.warmup) < Number(duration)
  // A share of a wrong duration would be a second complaint.
  const share = !fits && typeof duration === "number" && duration >= 1
    ? Math.floor(duration * Number(stored.warmup) / Number(stored.duration))
    : stored.warmup!
  return {
    _tag: "Length",
    length: {
      unit,
      duration,
      warmup: warmup === undefined ? share : changes[warmup]!,
      ...(apart || stored.warmupUnit !== undefined ? { warmupUnit: own ?? unit } : {})
    },
    saidAs: { duration: length ?? "duration", warmup: warmup ?? "warmup" }
  }
}

const members = (value: Json.Json | undefined): Schema.JsonObject => (Json.isObject(value) ? value : {})

const at = (value: Json.Json, path: ReadonlyArray<string>): Schema.JsonObject =>
  members(path.reduce<Json.Json | undefined>((inner, key) => members(inner)[key], value))

const put = (value: Json.Json, path: ReadonlyArray<string>, member: Json.Json): Json.Json => {
  const [key, ...rest] = path
  if (key === undefined) return member
  const own = members(value)
  return { ...own, [key]: put(own[key] ?? {}, rest, member) }
}

/** A configuration with changes over it, and its lengths as they are stored. */
export interface Translated {
  readonly value: Json.Json
  /** Lengths that contradict each other, by the dot-joined path. */
  readonly contradictions: ReadonlyArray<{ readonly path: string; readonly message: string }>
  /** The path that was given for each path of a stored value. */
  readonly saidAs: ReadonlyMap<string, string>
}

/** Applies changes to a configuration. The lengths at the given paths may be in the words of {@link Said}. */
export const translate = (
  places: ReadonlyArray<ReadonlyArray<string>>,
  config: Json.Json,
  overs: ReadonlyArray<Json.Changes>
): Translated => {
  const merged = (from: Json.Json) => overs.reduce<Json.Json>((all, over) => Json.merge(all, over), from)
  const changes = merged({})
  const found = places.flatMap((place) => {
    const resolved = resolve(at(config, place), at(changes, place))
    return resolved === undefined ? [] : [{ place, resolved }]
  })
  const path = (place: ReadonlyArray<string>, key: string) => [...place, key].join(".")
  return {
    value: found.reduce((all, { place, resolved }) => {
      const rest = Object.entries(at(all, place)).filter(([key]) => !names.includes(key))
      return put(all, place, { ...Object.fromEntries(rest), ...(resolved._tag === "Length" ? resolved.length : {}) })
    }, merged(config)),
    contradictions: found.flatMap(({ place, resolved }) =>
      resolved._tag === "Length" ? [] : [{ path: path(place, resolved.key), message: resolved.message }]
    ),
    saidAs: new Map(found.flatMap(({ place, resolved }) =>
      resolved._tag === "Length"
        ? Object.entries(resolved.saidAs).map(([key, said]) => [path(place, key), path(place, said)] as const)
        : []
    ))
  }
}
