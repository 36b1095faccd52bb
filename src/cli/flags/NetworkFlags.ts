/** The network that is named, which may see images in other colours than it was trained on. */
import { Effect, Option } from "effect"
import { Argument } from "effect/cli"
import type { AugmentConfig, Colour } from "../../domain/config/AugmentConfig.ts"
import { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import { PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"

const configured = (found: Artifact.Artifact, augment: AugmentConfig): Artifact.Artifact["config"] => {
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
export const withColour = <N extends Artifact.Artifact>(found: N, asked: Option.Option<Colour>): N =>
  Option.isNone(asked)
    ? found
    : { ...found, config: configured(found, { ...found.config.augment, colour: asked.value }) }

/** A network with features: a run, `RUN/STAGE`, or a file. */
export const network = Argument.String("network").pipe(
  Argument.withDescription("RUN/STAGE, a file of weights, or a folder of the Hugging Face Hub")
)

/** The network that is named, with the colours that are asked for. Fails as {@link Artifact.open} does. */
export const open = ({ colour, network }: { readonly network: string; readonly colour: Option.Option<Colour> }) =>
  Effect.map(Artifact.open(network), (found) => withColour(found, colour))
