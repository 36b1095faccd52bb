/** `patchword jobs submit study`: hands in a study for a worker. */
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Words from "../../flags/Words.ts"
import * as Failure from "../../terminal/Failure.ts"
import type { Root } from "../help.ts"
import * as Study from "../study.ts"
import * as HandIn from "./HandIn.ts"

const { config, json: _json, plan: _plan, table: _table, ...own } = Study.flags

/** The command, for the verbs of the program. */
export const study = (root: () => Root) =>
  Command.make("study", {
    table: Argument.String("table").pipe(
      Argument.withDescription("a table, or rows of it such as table5/none,late; patchword study lists them")
    ),
    config,
    ...own,
    ...HandIn.flags
  }, (given) =>
    Effect.gen(function*() {
      const { out, table } = given
      // Every value is checked before the job waits for hours.
      yield* RunPlace.check(given, {})
      yield* Study.resolve({ ...given, table: Option.some(table) })
      const words = ["study", table, ...Words.ofFlags(given, own)]
      yield* HandIn.handIn(root, given, { out, lines: [{ name: "study", words, configured: true }] })
    }).pipe(Failure.mapErrors)).pipe(
      Command.withDescription("hand in a study for a worker: a table of ablations, under several seeds"),
      Command.withExamples([
        {
          command:
            "patchword jobs submit study table5 --store runs/store --images photos --seeds 0,1,2 --out runs/study"
        }
      ])
    )
