/** The network that is named, which may see images in other colours than it was trained on. */
import { Console, Effect, Option } from "effect"
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

/** The endings of networks that a stage keeps beside its own: of random weights, averaged, the best of its epochs. */
const BESIDE = /-(?:random|ema|best)$/

type Open<A, R> = (path: string) => Effect.Effect<A, Artifact.OpenError, R>

/** An opened network, which may know the stage that it comes from. */
type Opened = Pick<Artifact.Artifact, "provenance">

const ofSeveral = <A extends Opened, R>(path: string, open: Open<A, R>) =>
  Effect.catchIf(open(path), Artifact.isSeveral, (error) => {
    const { stages } = error.reason
    const [only, ...more] = stages.filter((stage) =>
      !(BESIDE.test(stage) && stages.includes(stage.replace(BESIDE, "")))
    )
    return only === undefined || more.length > 0 ? Effect.fail(error) : open(`${path}/${only}`)
  })

/**
 * Opens a network with `open`. Where a run holds several, it takes the one that `fitting` opens, and leaves out baselines with
 * random weights, averaged networks, and the best of an epoch. It says so on standard error. Fails as `open` does.
 */
export const chosen = <A extends Opened, R>(path: string, open: Open<A, R>, fitting = open) =>
  Effect.catchIf(
    open(path),
    Artifact.isSeveral,
    ({ reason: { stages } }) =>
      Effect.tap(ofSeveral(path, fitting), ({ provenance }) =>
        Console.error(
          `stage: ${provenance?.stage} of ${path}, which holds ${stages.join(", ")}; name another as ${path}/STAGE`
        ))
  )

/** The network that is named, with the colours that are asked for. Fails as {@link Artifact.open} does. */
export const open = ({ colour, network }: { readonly network: string; readonly colour: Option.Option<Colour> }) =>
  Effect.map(chosen(network, Artifact.open), (found) => withColour(found, colour))
