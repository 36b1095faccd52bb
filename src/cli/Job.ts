/** A command that several ranks run together. Rank 0 speaks for all. */
import { Config, Console, Duration, Effect, Logger, Option } from "effect"
import { Command } from "effect/cli"
import * as Ranks from "../layers/ranks/Ranks.ts"
import type { Root } from "./commands/help.ts"
import type { Launched } from "./Launched.ts"
import * as Failure from "./terminal/Failure.ts"

/** This process as one of several ranks. `stop` is aborted when it is asked to stop. */
export interface Job {
  readonly as: Launched
  readonly stop: AbortSignal
}

/** The commands that several ranks run together. */
const TRAINING = /^(?:pretrain|finetune|segment|tokenizer train|decoder train)(?: |$)/

/** Words that ask for a text alone. */
const ASKS = /^(?:$|help(?: |$))|(?:^| )(?:-h|--help|-v|--version|--completions)(?:[ =]|$)/

/** A variable that names the library of MPI, and one that tells after how many seconds of silence a rank is lost. */
const LIBRARY = "PATCHWORD_MPI"
const SECONDS = "PATCHWORD_RANK_SECONDS"

/** Other ranks most likely fail for the same reason as rank 0, which ends them before they say it, too. */
const MANNERS = "1 second"

const refusal = (size: number) =>
  new Failure.Failure({
    tag: "NotForRanks",
    finding: `${size} ranks were started, but this command is for one process`,
    remedy: "start it without mpiexec, mpirun or srun; the commands that train a network take several ranks",
    code: 64
  })

/** Returns a failure with another finding, or as one that is on standard error already. */
const restated = (
  { code, file, finding, remedy, tag }: Failure.Failure,
  other: { readonly finding?: string; readonly shown?: boolean }
) => new Failure.Failure({ tag, finding, remedy, code, ...(file === undefined ? {} : { file }), ...other })

const unsaid = (failure: Failure.Failure) => restated(failure, { shown: true })

/** Refuses a command for one process as soon as its words are understood. */
export const guarded = (job: Job, words: ReadonlyArray<string>) => {
  const asked = words.join(" ")
  const admitted: Effect.Effect<void, Failure.Failure> = TRAINING.test(asked) || ASKS.test(asked)
    ? Effect.void
    : refusal(job.as.size)
  return (root: Root) => Command.provideEffectDiscard(root, admitted)
}

/** Says once why a rank fails. Its launcher may end it as soon as the others hear of it. */
const telling = <E>(rank: number, machine: boolean) => (error: E): Effect.Effect<never, E | Failure.Failure> => {
  // What another rank has shown nobody has seen.
  if (!(error instanceof Failure.Failure) || (error.shown === true && rank === 0)) return Effect.fail(error)
  const own = rank === 0 ? error : restated(error, { finding: `rank ${rank}: ${error.finding}` })
  return Effect.sleep(rank === 0 ? 0 : MANNERS).pipe(
    Effect.andThen(Failure.show(machine)(own)),
    Effect.andThen(Effect.fail(unsaid(error)))
  )
}

const read = <A>(variable: Config.Config<A>) =>
  Effect.mapError(Config.option(variable), (error) =>
    new Failure.Failure({
      tag: "ConfigError",
      finding: error.message,
      remedy: `set ${LIBRARY} to a file, and ${SECONDS} to a number`,
      code: 64
    }))

const silent = new Proxy(globalThis.console, { get: () => () => {} })

/** Leaves out what another rank than the first one says. */
const quiet = (rank: number) => <A, E, R>(command: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  rank === 0 ? command : command.pipe(
    Effect.provideService(Console.Console, silent),
    Effect.provideService(Logger.CurrentLoggers, new Set())
  )

/** Runs a command as one of several ranks. One that trains meets the others. All ranks do the same with any other one. */
export const run =
  ({ as: { launcher, local, rank, size }, stop }: Job, words: ReadonlyArray<string>, machine: boolean) =>
  <A, E, R>(command: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure.Failure, R> =>
    Effect.gen(function*() {
      const own = quiet(rank)(command)
      const asked = words.join(" ")
      if (ASKS.test(asked) || !TRAINING.test(asked)) {
        return yield* Effect.mapError(
          own,
          (error) => rank > 0 && error instanceof Failure.Failure ? unsaid(error) : error
        )
      }
      const library = yield* read(Config.String(LIBRARY))
      const seconds = yield* read(Config.Finite(SECONDS))
      const show = Failure.show(machine)
      const layer = Ranks.layerMpi({
        launcher,
        started: size,
        local,
        stop,
        onStop: () => void process.kill(process.pid, "SIGINT"),
        onLost: (error) => Effect.runSync(show(Failure.of(error))),
        ...Option.match(library, { onNone: () => ({}), onSome: (file) => ({ library: file }) }),
        ...Option.match(seconds, { onNone: () => ({}), onSome: (limit) => ({ limit: Duration.seconds(limit) }) })
      })
      // Without MPI a rank does not hear what another says. Those of one machine say the same.
      const unmet = (error: Failure.Failure) => rank > 0 && local === size ? unsaid(error) : error
      return yield* own.pipe(
        Effect.catch(telling<E>(rank, machine)),
        Effect.provide(layer),
        Effect.mapError((error) => error instanceof Ranks.RanksError ? unmet(Failure.of(error)) : error)
      )
    })
