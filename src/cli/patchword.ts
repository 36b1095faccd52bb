/** The command line as a value: all commands under one name. */
import { Effect } from "effect"
import { Argument, type CliError, Command } from "effect/cli"
import { version } from "../domain/values/Version.ts"
import { demo } from "./commands/demo.ts"
import { encode } from "./commands/encode.ts"
import { engines } from "./commands/engines.ts"
import { exported } from "./commands/export.ts"
import { features } from "./commands/features.ts"
import { finetune } from "./commands/finetune.ts"
import { inspect } from "./commands/inspect.ts"
import { knn } from "./commands/knn.ts"
import { plan } from "./commands/plan.ts"
import { predict } from "./commands/predict.ts"
import { pretrain } from "./commands/pretrain.ts"
import { probe } from "./commands/probe.ts"
import { tokenizer } from "./commands/tokenizer.ts"
import * as Failure from "./terminal/Failure.ts"

interface Asked {
  readonly known: boolean
  /** The words behind a verb that has none below it. */
  readonly beyond: ReadonlyArray<string>
}

const asked = (command: Command.Command.Any, words: ReadonlyArray<string>): Asked => {
  const [word, ...rest] = words
  const verbs = command.subcommands.flatMap(({ commands }) => commands)
  if (word === undefined || verbs.length === 0) return { known: true, beyond: words }
  const named = verbs.find(({ name }) => name === word)
  return named === undefined ? { known: false, beyond: [] } : asked(named, rest)
}

// Without `--help`, a word that is no verb is said to be none.
const described = (
  verb: ReadonlyArray<string>
): Effect.Effect<void, CliError.CliError | Failure.Failure | Failure.Misuse, Command.Environment> => {
  const { beyond, known } = asked(patchword, verb)
  if (beyond.length > 0) {
    const whole = verb.slice(0, -beyond.length).join(" ")
    const text = `"${beyond.join(" ")}" is no part of the verb ${whole}; ask patchword help ${whole}`
    return Effect.fail(new Failure.Failure({ text, code: 64 }))
  }
  return Failure.misuse(Command.runWith(patchword, { version })(known ? [...verb, "--help"] : verb))
}

const help = Command.make("help", {
  verb: Argument.String("verb").pipe(Argument.withDescription("as tokenizer train; all without"), Argument.variadic())
}, ({ verb }) => described(verb)).pipe(
  Command.withDescription("say what a verb does and takes, with an example"),
  Command.withExamples([{ command: "patchword help tokenizer train" }])
)

/** The command. */
export const patchword = Command.make("patchword").pipe(
  Command.withDescription("BEiT v2: learn a visual vocabulary, pretrain by predicting it, and see what was learned"),
  Command.withSubcommands([
    demo,
    tokenizer,
    pretrain,
    finetune,
    predict,
    probe,
    knn,
    encode,
    features,
    exported,
    inspect,
    plan,
    engines,
    help
  ])
)
