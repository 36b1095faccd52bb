/** A command that several ranks run together. Rank 0 speaks for all. */
import { Config, Console, Duration, Effect, Logger, Option } from "effect"
import * as Ranks from "../layers/ranks/Ranks.ts"
import type { Launched } from "./Launched.ts"
import * as Failure from "./terminal/Failure.ts"

/** This process as one of several ranks. `stop` is aborted when it is asked to stop. */
export interface Job {
  readonly as: Launched
  readonly stop: AbortSignal
}

/** The commands that several ranks run together. */
const TRAINING = /^(?:pretrain|finetune|segment|tokenizer train|decoder train)(?: |$)/

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

/** Says once why a rank fails. Its launcher may end it as soon as the others hear of it. */
const telling = <E>(rank: number, machine: boolean) => (error: E): Effect.Effect<never, E | Failure.Failure> => {
  if (!(error instanceof Failure.Failure) || error.shown === true) return Effect.fail(error)
  const { code, file, finding, remedy, tag } = error
  const of = (text: string, shown: boolean) =>
    new Failure.Failure({ tag, finding: text, remedy, code, shown, ...(file === undefined ? {} : { file }) })
  return Effect.sleep(rank === 0 ? 0 : MANNERS).pipe(
    Effect.andThen(Failure.show(machine)(of(rank === 0 ? finding : `rank ${rank}: ${finding}`, false))),
    Effect.andThen(Effect.fail(of(finding, true)))
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

/** Runs a command as one of several ranks. */
export const run =
  ({ as: { launcher, local, rank, size }, stop }: Job, words: ReadonlyArray<string>, machine: boolean) =>
  <A, E, R>(command: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure.Failure, R> =>
    Effect.gen(function*() {
      if (!TRAINING.test(words.join(" "))) return yield* refusal(size)
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
      const silent = new Proxy(globalThis.console, { get: () => () => {} })
      const own = rank === 0 ? command : command.pipe(
        Effect.provideService(Console.Console, silent),
        Effect.provideService(Logger.CurrentLoggers, new Set())
      )
      return yield* own.pipe(
        Effect.catch(telling<E>(rank, machine)),
        Effect.provide(layer),
        Effect.mapError((error) => error instanceof Ranks.RanksError ? Failure.of(error) : error)
      )
    })
