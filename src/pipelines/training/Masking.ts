/** The masks of a batch, and the positions of its masked patches. */
import { Effect, Result, Runtime, Schema } from "effect"
import { MaskConfig, PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import type * as BlockMask from "../../domain/method/BlockMask.ts"
import * as Mask from "../../domain/method/Mask.ts"
import type * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as GivenInCode from "./GivenInCode.ts"
import * as Stage from "./Stage.ts"

/** A mask generator returns a wrong mask. */
export class MaskError extends TaggedError<MaskError>()("MaskError", {
  mask: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the mask "${this.mask}": ${this.problem}`
  }
  get remedy() {
    return "correct its function draw"
  }
}

/** The masks of a batch `[B, N]`, and its masked patches, counted row-major over the batch. */
export interface Masked {
  readonly mask: Uint8Array
  readonly rows: Int32Array
}

// A mask of one's own may come from plain JavaScript.
const problemOf = (drawn: unknown, { count, height, width }: BlockMask.Options): string | undefined => {
  const patches = height * width
  if (!(drawn instanceof Uint8Array)) return `expected a Uint8Array of ${patches} patches, got ${typeof drawn}`
  if (drawn.length !== patches) return `expected ${patches} patches, got ${drawn.length}`
  const wrong = drawn.findIndex((masked) => masked > 1)
  if (wrong >= 0) return `expected 0 or 1 for each patch, got ${drawn[wrong]} for patch ${wrong}`
  const masked = drawn.reduce((sum, one) => sum + one, 0)
  return masked === count ? undefined : `expected ${count} masked patches of ${patches}, got ${masked}`
}

/** Draws one mask per key, as the rows of a batch. Fails if a mask does not fit its options. */
export const draw = (
  { draw, name }: Mask.Mask,
  options: BlockMask.Options,
  keys: ReadonlyArray<KeyedRandom.Key>
): Result.Result<Masked, MaskError> => {
  const patches = options.height * options.width
  const mask = new Uint8Array(keys.length * patches)
  for (const [i, key] of keys.entries()) {
    const drawn = draw(options, key)
    const problem = problemOf(drawn, options)
    if (problem !== undefined) return Result.fail(new MaskError({ mask: name, problem }))
    mask.set(drawn, i * patches)
  }
  return Result.succeed({ mask, rows: Int32Array.from(mask.keys()).filter((place) => mask[place] === 1) })
}

const patternOf = (mask: Mask.Mask): NonNullable<MaskConfig["pattern"]> =>
  mask === Mask.blockwise
    ? { kind: "blockwise" }
    : mask === Mask.random
    ? { kind: "random" }
    : { kind: "own", name: mask.name }

/**
 * Returns the mask of a configuration, and the configuration as files hold it. A mask given in code is used if the
 * configuration names no other one.
 *
 * Fails with `ConfigError` if the configuration names another mask, or one that is not given.
 */
export const of = Effect.fnUntraced(function*(config: PretrainConfig, given: Mask.Mask | undefined) {
  const pattern = given && patternOf(given)
  yield* Stage.requireConfig("pretrain", {
    "mask.pattern": GivenInCode.problem("mask", "pretrain(config, tokenizer, { mask })", config.mask.pattern, pattern)
  })
  const mask = given ?? (config.mask.pattern?.kind === "random" ? Mask.random : Mask.blockwise)
  return pattern === undefined
    ? { config, mask }
    : { config: new PretrainConfig({ ...config, mask: new MaskConfig({ ...config.mask, pattern }) }), mask }
})
