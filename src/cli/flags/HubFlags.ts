/** A repository of the Hugging Face Hub, and how the Hub is reached. */
import { Config, Effect, Option } from "effect"
import { Argument, Flag } from "effect/cli"
import * as PatchwordConfig from "../../domain/config/Config.ts"
import type * as Hub from "../../layers/files/Hub.ts"
import * as Described from "./Described.ts"

/** The name of a repository. */
export const repository = Argument.String("repository").pipe(
  Argument.withDescription("OWNER/NAME on the Hugging Face Hub"),
  Argument.filter(
    (name) => /^[\w.-]+\/[\w.-]+$/.test(name),
    () => "OWNER/NAME"
  )
)

/** A branch, a tag or a commit. */
export const revision = Flag.String("revision").pipe(
  Described.optional("a branch, a tag or a commit", "main")
)

const variables = Config.all({
  token: Config.option(Config.Redacted("HF_TOKEN")),
  hubUrl: Config.option(Config.String("HF_ENDPOINT"))
})

/** Reads the options of requests to the Hub: the token of `HF_TOKEN`, the server of `HF_ENDPOINT`, and the revision. */
export const options = Effect.fnUntraced(function*(revision: Option.Option<string>) {
  const { hubUrl, token } = yield* Effect.orDie(variables)
  const given: Hub.Options = {
    ...(Option.isNone(token) ? {} : { token: token.value }),
    ...(Option.isNone(hubUrl) ? {} : { hubUrl: hubUrl.value }),
    ...(Option.isNone(revision) ? {} : { revision: revision.value })
  }
  return given
})

/** The options with a token, without which nothing can be sent. */
export const withToken = Effect.fnUntraced(function*(revision: Option.Option<string>) {
  const { token, ...rest } = yield* options(revision)
  return token === undefined
    ? yield* PatchwordConfig.refusal(
      "HF_TOKEN",
      "expected a token of your account with the right to write",
      "make one at huggingface.co/settings/tokens, and set the variable HF_TOKEN to it"
    )
    : { ...rest, token }
})
