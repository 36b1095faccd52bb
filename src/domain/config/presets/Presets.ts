/**
 * Published configurations by name. A comment at each value gives its source:
 *
 * * "section" and "table": the paper (arXiv 2208.06366). Table 8 is about the tokenizer, 9 about pretraining, 10 about
 *   fine-tuning, 11 about segmentation.
 * * "command": a command of the official repository or the notes below it (`beit2/TOKENIZER.md`, `PRETRAINING.md`,
 *   `get_started_for_image_classification.md`).
 * * "code": a default or a fixed value of the official code. For segmentation it is in `semantic_segmentation/configs`.
 *
 * The paper and the repository disagree in places. `base`, `large` (1600 epochs of pretraining), `base300` and `large300`
 * follow the repository. `basePaper` and `largePaper` follow the paper. `24x544`, `huge14` and `giant14` are other sizes of the
 * repository, without a published recipe. `tiny` is the preset of the demo. It trains on two cores in minutes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 *
 * assert.strictEqual(Effect.runSync(Presets.preset("tiny")), Presets.tiny)
 * const error = Effect.runSync(Effect.flip(Presets.preset("basse")))
 * assert.match(error.message, /did you mean base\?/)
 * ```
 */
import { Effect } from "effect"
import * as Suggest from "../../values/Suggest.ts"
import { type ConfigError, refusal } from "../Config.ts"
import type { Preset } from "../Preset.ts"
import { base, base300, basePaper } from "./base.ts"
import { deepNarrow, giant14, huge14 } from "./giant.ts"
import { large, large300, largePaper } from "./large.ts"
import { tiny } from "./tiny.ts"

export { base, base300, basePaper, deepNarrow, giant14, huge14, large, large300, largePaper, tiny }

/** All presets by name. */
export const all = {
  tiny,
  base,
  base300,
  basePaper,
  large,
  large300,
  largePaper,
  "24x544": deepNarrow,
  huge14,
  giant14
}

/** The name of a preset. */
export type Name = keyof typeof all

/** Tests whether there is a preset of this name. */
export const isName = (name: string): name is Name => Object.hasOwn(all, name)

/** Returns the preset of a name. Fails with a {@link ConfigError} that suggests the nearest name. */
export const preset = (name: string): Effect.Effect<Preset, ConfigError> => {
  if (isName(name)) return Effect.succeed(all[name])
  const names = Object.keys(all)
  const meant = Suggest.nearest(name, names)
  const message = `expected one of ${names.join(", ")}, got "${name}"` +
    (meant === undefined ? "" : `; did you mean ${meant}?`)
  return Effect.fail(refusal("preset", message, "choose one of these"))
}
