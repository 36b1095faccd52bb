/** The pixel decoder that a command line names, with its tokenizer. */
import { Effect, Option } from "effect"
import { Flag } from "effect/cli"
import type { Colour } from "../../domain/config/AugmentConfig.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Decoder from "../../pipelines/trained/Decoder.ts"
import * as Described from "./Described.ts"
import * as NetworkFlags from "./NetworkFlags.ts"

/** The tokenizer whose codes are drawn. */
export const tokenizer = Flag.String("tokenizer").pipe(
  Described.optional(
    "the tokenizer whose codes are drawn: a run, RUN/STAGE, or a file of weights",
    "that of the decoder's run"
  )
)

/** Opens a decoder, and its tokenizer with the colours that are asked for. Fails as `Artifact.custom` and `Artifact.tokenizer` do. */
export const open = Effect.fnUntraced(function*(
  given: {
    readonly decoder: string
    readonly tokenizer: Option.Option<string>
    readonly colour: Option.Option<Colour>
  }
) {
  const { config, provenance, tensors } = yield* Artifact.custom(given.decoder, Decoder.NAME, Decoder.Described)
  const run = yield* Results.runOf(given.decoder)
  const path = Option.getOrElse(given.tokenizer, () => Option.getOrElse(run, () => given.decoder))
  const found = yield* NetworkFlags.chosen(path, Artifact.tokenizer)
  const decoder: Decoder.Decoder = { ...config, tensors }
  return { decoder, provenance, tokenizer: NetworkFlags.withColour(found, given.colour) }
})
