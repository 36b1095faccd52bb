/** Networks that see images in other colours than they were trained on. */
import { Option } from "effect"
import type { Colour } from "../domain/AugmentConfig.ts"
import { PretrainConfig } from "../domain/PretrainConfig.ts"
import { TokenizerConfig } from "../domain/TokenizerConfig.ts"
import type { Artifact } from "../pipelines/Artifact.ts"

/** A network with the colours that `--colour` asks for in place of its own. */
export const coloured = <N extends Artifact<"Tokenizer"> | Artifact<"Backbone">>(
  found: N,
  asked: Option.Option<Colour>
): N => {
  if (Option.isNone(asked)) return found
  const augment = { ...found.config.augment, colour: asked.value }
  const config = found._tag === "Tokenizer"
    ? new TokenizerConfig({ ...found.config, augment })
    : new PretrainConfig({ ...found.config, augment })
  return { ...found, config }
}
