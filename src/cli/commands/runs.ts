/** `patchword runs`: lists runs, shows and compares them, and keeps what people say of them. */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Notes from "../../layers/run/Notes.ts"
import * as PartProblems from "../../pipelines/artifacts/PartProblems.ts"
import * as PlainPage from "../../pipelines/report/PlainPage.ts"
import { best as bestOf } from "../../pipelines/runs/Best.ts"
import * as Comparison from "../../pipelines/runs/Comparison.ts"
import * as Registry from "../../pipelines/runs/Registry.ts"
import * as Sample from "../../pipelines/runs/Sample.ts"
import * as SampleView from "../../pipelines/runs/SampleView.ts"
import * as Inside from "../../studio/server/Inside.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"
import * as RunsText from "../terminal/RunsText.ts"

const FOLDERS = ["runs"]

const folders = Argument.String("folders").pipe(
  Argument.withDescription("folders that are searched for runs, or runs (default: runs)"),
  Argument.variadic()
)

const run = Argument.String("run").pipe(Argument.withDescription("a run folder"))

const depth = Flag.Int("depth").pipe(Described.withDefault("levels of folders that are searched", 4))

const tagged = Flag.String("tag").pipe(Described.optional("only runs with this tag", "all runs"))

const searched = (given: ReadonlyArray<string>): ReadonlyArray<string> => given.length === 0 ? FOLDERS : given

/** A run for a list: without its configuration and its machine, which `show` has. */
const brief = (run: Registry.Run) => {
  const { config: _, machine: __, ...rest } = run
  return rest
}

/** A run with its address in place of its copy's folder, before columns are laid out. */
const named = Effect.fnUntraced(function*<R extends Pick<Registry.Run, "path">>(run: R) {
  return { ...run, path: (yield* RunPlace.Shown)(run.path) }
})

const list = RunPlace.command(
  "list",
  { folders: "facts" },
  { folders, depth, tag: tagged, json: Flags.json },
  (given) =>
    Effect.gen(function*() {
      const { depth, json, tag } = given
      const all = yield* Effect.forEach(yield* Registry.list(searched(given.folders), { depth }), named)
      const runs = Option.match(tag, {
        onNone: () => all,
        onSome: (asked) => all.filter(({ tags }) => tags.includes(asked))
      })
      if (json) return yield* Console.log(Print.json({ runs: runs.map(brief) }))
      yield* Console.log(
        runs.length > 0
          ? RunsText.list(runs)
          : RunsText.none(searched(given.folders), all.length, Option.getOrUndefined(tag))
      )
    }).pipe(Failure.mapErrors)
).pipe(
  Command.withDescription("list the runs in folders: state, stage, steps, time, tags"),
  Command.withExamples([{ command: "patchword runs list" }, {
    command: "patchword runs list /data/runs --tag paper"
  }])
)

const show = RunPlace.command(
  "show",
  { run: "networks" },
  { run, json: Flags.json },
  (given) =>
    Effect.gen(function*() {
      const run = yield* Registry.read(given.run)
      const found = { ...run, problems: [...run.problems, ...yield* Inside.within([run.path])(PartProblems.of(run))] }
      yield* Console.log(given.json ? Print.json(found) : RunsText.show(found))
    }).pipe(Failure.mapErrors)
).pipe(
  Command.withDescription("show a run: stages, speed, figures, notes; also while it trains"),
  Command.withExamples([{ command: "patchword runs show runs/demo" }])
)

const diff = RunPlace.command("diff", { runs: "facts" }, {
  runs: Argument.String("runs").pipe(
    Argument.withDescription("two or more run folders; the others are compared with the first one"),
    Argument.variadic()
  ),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { json, runs } = given
    if (runs.length < 2) {
      return yield* Config.refusal(
        "runs diff",
        `expected two runs or more, got ${runs.length}`,
        "write for example patchword runs diff runs/one runs/two"
      )
    }
    const compared = yield* Comparison.diff(runs)
    const found = { ...compared, runs: yield* Effect.forEach(compared.runs, named) }
    if (!json) return yield* Console.log(RunsText.comparison(found))
    yield* Console.log(Print.json({ ...found, runs: found.runs.map(({ path, state }) => ({ path, state })) }))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("compare runs: settings, machines, and figures with their intervals"),
    Command.withExamples([{ command: "patchword runs diff runs/one runs/two" }])
  )

const best = RunPlace.command("best", { folders: "facts" }, {
  figure: Argument.String("figure").pipe(
    Argument.withDescription(
      "a figure such as probe/pretrain/in-new, or parts of it such as probe/in-new; or the last value of a metric in the log, " +
        "such as pretrain/loss_1"
    )
  ),
  folders,
  depth,
  lowest: Described.flag("lowest", "rank the smallest value first, as is done for losses and errors anyway"),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { depth, figure, json, lowest } = given
    const options = lowest ? { depth, lowest } : { depth }
    const found = yield* bestOf(searched(given.folders), figure, options)
    const ranked = yield* Effect.forEach(found, (one) => Effect.map(named(one.run), (run) => ({ ...one, run })))
    yield* Console.log(
      json
        ? Print.json({ runs: ranked.map(({ run, ...rest }) => ({ path: run.path, tags: run.tags, ...rest })) })
        : RunsText.ranking(ranked)
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("rank runs by a figure, and say which are within the noise of the best one"),
    Command.withExamples([
      { command: "patchword runs best probe/pretrain/in-new" },
      { command: "patchword runs best pretrain/loss_1 /data/runs" }
    ])
  )

const batch = RunPlace.command("batch", { run: "examined" }, {
  run,
  ...EngineFlags.flags,
  out: Flag.File("out").pipe(Described.optional("a page with the images, .html", "prints the shares alone")),
  replace: OutputFile.replace,
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { json, out, replace } = given
    yield* Registry.read(given.run)
    yield* OutputFile.check({ out, ending: ".html", replace })
    yield* Effect.provide(Sample.predict(given.run), EngineFlags.layer(given))
    const [samples, [damaged]] = yield* Sample.read(given.run)
    if (damaged !== undefined) return yield* damaged
    if (Option.isSome(out)) {
      const page = {
        title: "batch",
        heading: (yield* RunPlace.Shown)(given.run),
        hasImages: true,
        main: yield* SampleView.render(samples)
      }
      yield* (yield* Files.make).write(out.value, PlainPage.render(page))
    }
    const shares = samples.flatMap((sample) => Sample.shares(sample))
    const page = Option.getOrUndefined(out)
    if (json) return yield* Console.log(Print.json({ run: given.run, images: shares, page }))
    yield* Console.log(
      Print.columns([
        ["stage", "step", "image", "masked", "predicted right", "by the weights after step"],
        ...shares.map(({ image, masked, right, stage, step, weights }) =>
          [stage, step, image, masked, right, weights].map(String)
        )
      ])
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "look at the present batch of a pretraining: predict the masked codes of some of its images with its newest weights"
    ),
    Command.withExamples([{ command: "patchword runs batch runs/demo --out batch.html" }])
  )

/** Prints the tags and notes that a run has now. */
const told = Effect.fnUntraced(function*(folder: string, json: boolean) {
  const { notes, tags } = yield* Notes.read(folder)
  if (json) return yield* Console.log(Print.json({ run: folder, tags, notes }))
  yield* Console.log(RunsText.noted(folder, tags, notes))
})

const tag = RunPlace.command("tag", { run: "noted", tags: "text" }, {
  run,
  tags: Argument.String("tags").pipe(
    Argument.withDescription("tags to add, of letters, digits, _, -, . and : (default: prints those there are)"),
    Argument.variadic()
  ),
  remove: Described.flag("remove", "remove these tags instead"),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    yield* Registry.read(given.run)
    yield* given.remove ? Notes.untag(given.run, given.tags) : Notes.tag(given.run, given.tags)
    yield* told(given.run, given.json)
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("add tags to a run, or remove them; the run may be training"),
    Command.withExamples([
      { command: "patchword runs tag runs/demo paper good" },
      { command: "patchword runs tag runs/demo good --remove" }
    ])
  )

const note = RunPlace.command("note", { run: "noted", text: "text", remove: "text" }, {
  run,
  text: Argument.String("text").pipe(
    Argument.withDescription("a note to add (default: prints those there are)"),
    Argument.optional
  ),
  remove: Flag.String("remove").pipe(Described.optional("remove the note of this id", "removes none")),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    yield* Registry.read(given.run)
    if (Option.isSome(given.remove)) yield* Notes.forget(given.run, given.remove.value)
    if (Option.isSome(given.text)) yield* Notes.add(given.run, given.text.value)
    yield* told(given.run, given.json)
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("add a note to a run; the run may be training"),
    Command.withExamples([{ command: "patchword runs note runs/demo \"with the larger codebook\"" }])
  )

/** The command. */
export const runs = Command.make("runs").pipe(
  Command.withDescription(
    "look at runs: runs list, runs show, runs diff, runs best, runs batch, runs tag, runs note"
  ),
  Command.withSubcommands([list, show, diff, best, batch, tag, note])
)
