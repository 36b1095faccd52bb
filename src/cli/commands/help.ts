/** `patchword help`: what a verb takes, and what one has to know for it. */
import { Console, Effect } from "effect"
import { Argument, type CliError, Command } from "effect/cli"
import * as Suggest from "../../domain/values/Suggest.ts"
import { version } from "../../domain/values/Version.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Misuse from "../terminal/Misuse.ts"
import * as Topics from "../terminal/Topics.ts"

const below = (command: Command.Command.Any): ReadonlyArray<Command.Command.Any> =>
  command.subcommands.flatMap(({ commands }) => commands)

/** The verbs of a command and of those below it, as a person writes them. */
const verbsOf = (command: Command.Command.Any): ReadonlyArray<string> =>
  below(command).flatMap((verb) => [verb.name, ...verbsOf(verb).map((inner) => `${verb.name} ${inner}`)])

const unknown = (asked: string, root: Command.Command.Any): Failure.Failure => {
  const known = [...Topics.names, ...verbsOf(root)]
  const inner = known.find((name) => name.split(" ").includes(asked))
  const meant = inner ?? Suggest.nearest(asked, known)
  const verbs = below(root).map(({ name }) => name)
  const topics = `choose a topic (${Topics.names.join(", ")}) or a verb (${verbs.join(", ")})`
  return new Failure.Failure({
    tag: "UnknownTopic",
    finding: `there is no help on "${asked}"${meant === undefined ? "" : `, did you mean "${meant}"?`}`,
    remedy: topics,
    code: 64
  })
}

type Problem = CliError.CliError | Failure.Failure

/** The command that holds all others. */
export type Root = Command.Command<"patchword", object, object, Problem, Command.Environment>

/** The command, for the verbs of the program. */
export const help = (root: () => Root) =>
  Command.make("help", {
    about: Argument.String("about").pipe(
      Argument.withDescription(
        `a verb, for example tokenizer train, or a topic: ${Topics.names.join(", ")} (default: all verbs)`
      ),
      Argument.variadic()
    )
  }, ({ about }): Effect.Effect<void, Problem, Command.Environment> => {
    const asked = about.join(" ")
    const topic = Topics.text(asked)
    if (topic !== undefined) return Console.log(topic)
    if (about.length > 0 && !verbsOf(root()).includes(asked)) return Effect.fail(unknown(asked, root()))
    return Misuse.mapErrors(Command.runWith(root(), { version })([...about, "--help"]))
  }).pipe(
    Command.withDescription("say what a verb takes, or explain a topic"),
    Command.withExamples([{ command: "patchword help tokenizer train" }, { command: "patchword help images" }])
  )
