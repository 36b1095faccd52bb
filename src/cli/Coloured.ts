/** Networks that see images in other colours than they were trained on. */
import { Option } from "effect"
import type { AugmentConfig, Colour } from "../domain/config/AugmentConfig.ts"
import { FinetuneConfig } from "../domain/config/FinetuneConfig.ts"
import { PretrainConfig } from "../domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import type { Artifact } from "../pipelines/artefacts/Artifact.ts"

const configured = (found: Artifact, augment: AugmentConfig): Artifact["config"] => {
  switch (found._tag) {
    case "Tokenizer":
      return new TokenizerConfig({ ...found.config, augment })
    case "Backbone":
      return new PretrainConfig({ ...found.config, augment })
    case "Classifier":
      return new FinetuneConfig({ ...found.config, augment })
  }
}

/** A network with the colours that `--colour` asks for in place of its own. */
export const coloured = <N extends Artifact>(found: N, asked: Option.Option<Colour>): N =>
  Option.isNone(asked)
    ? found
    : { ...found, config: configured(found, { ...found.config.augment, colour: asked.value }) }
