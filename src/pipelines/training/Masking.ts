/** The masks of a batch, and where its masked patches are. */
import { Effect } from "effect"
import { ConfigError } from "../../domain/config/Config.ts"
import { MaskConfig, PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import type * as BlockMask from "../../domain/method/BlockMask.ts"
import * as Mask from "../../domain/method/Mask.ts"
import type * as KeyedRandom from "../../domain/values/KeyedRandom.ts"

/** Masks of a batch `[B, N]` and its masked patches, counted row-major over the batch. */
export interface Masked {
  readonly mask: Uint8Array
  readonly rows: Int32Array
}

/** One mask per key, laid side by side. */
export const draw = (mask: Mask.Mask, options: BlockMask.Options, keys: ReadonlyArray<KeyedRandom.Key>): Masked => {
  const patches = options.height * options.width
  const all = new Uint8Array(keys.length * patches)
  keys.forEach((key, i) => all.set(mask.draw(options, key), i * patches))
  const rows = Int32Array.from(all.keys()).filter((place) => all[place] === 1)
  return { mask: all, rows }
}

/** The mask of a configuration; `given` is one that was given in code. Fails with `ConfigError` where it names another. */
export const of = Effect.fnUntraced(function*(config: PretrainConfig, given?: Mask.Mask) {
  const { pattern } = config.mask
  if (pattern === undefined) return Mask.blockwise
  if (pattern.kind === "random") return Mask.random
  if (given?.name === pattern.name) return given
  const message = `expected the mask "${pattern.name}" to be given in code: pretrain(config, tokenizer, { mask })`
  return yield* new ConfigError({ source: "pretrain", problems: [{ path: "mask.pattern", message }] })
})

/** The configuration as files hold it: it names a mask that was given in code. */
export const configured = (config: PretrainConfig, given: Mask.Mask | undefined): PretrainConfig =>
  given === undefined ? config : new PretrainConfig({
    ...config,
    mask: new MaskConfig({ ...config.mask, pattern: { kind: "own", name: given.name } })
  })
