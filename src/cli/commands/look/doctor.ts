/** `patchword doctor`: the health of a run. */
import { Console, Effect, Layer, Option, Runtime, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { TaggedError } from "../../../domain/values/TaggedError.ts"
import { Images } from "../../../layers/images/Images.ts"
import { diagnose, diagnoseOn } from "../../../pipelines/doctor/Diagnose.ts"
import * as Described from "../../flags/Described.ts"
import * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
import * as ImagesFlags from "../../flags/ImagesFlags.ts"
import * as RunConfig from "../../flags/RunConfig.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Services from "../../flags/Services.ts"
import * as Failure from "../../terminal/Failure.ts"
import * as HealthTable from "../../terminal/HealthTable.ts"
import * as Print from "../../terminal/Print.ts"

/** A run is ill. The exit code is 1. */
export class Ill extends TaggedError<Ill>()("Ill", {
  directory: Schema.String,
  stage: Schema.String,
  title: Schema.String,
  /** The number of all findings. */
  findings: Schema.Int,
  change: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 1
  get finding() {
    const { directory, findings, stage, title } = this
    const more = findings === 1 ? "" : ` (the first of ${findings} findings)`
    return `run folder ${directory}: ${stage}: ${title}${more}`
  }
  get remedy() {
    return this.change
  }
}

// The colours are those of the run.
const { colour: _, images: __, ...imagesFlags } = ImagesFlags.flags

/** The command. */
export const doctor = RunPlace.command("doctor", { run: "examined" }, {
  run: Argument.Directory("run").pipe(
    Argument.withDescription("a run folder; its stages may be finished, interrupted or at work")
  ),
  images: Flag.String("images").pipe(
    Described.optional(
      "images to look at: emoji, a folder, a manifest or shards; patchword help images tells all",
      "none; the log, the weights and the checkpoints alone are read"
    )
  ),
  ...imagesFlags,
  split: Flags.split,
  most: Flag.Int("most").pipe(
    Flag.filter((most) => most >= 2, () => "2 or more"),
    Described.withDefault("the most images to look at, spread evenly over the split", 1024)
  ),
  ...EngineFlags.flags,
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { images, json, most, run, split } = given
    const report = Option.isNone(images)
      ? yield* diagnose(run)
      : yield* Effect.flatMap(
        Effect.flatMap(Images, ({ load }) => load(split)),
        (set) => diagnoseOn(run, set, { most })
      ).pipe(
        Effect.provide(Layer.merge(
          Services.imagesAndEngine(given, { augment: yield* RunConfig.colours(run) }),
          Print.progress(json)
        ))
      )
    yield* Console.log(json ? JSON.stringify(report) : HealthTable.render(report))
    const findings = report.stages.flatMap(({ findings, stage }) => findings.map((finding) => ({ ...finding, stage })))
    const [first] = findings
    if (first === undefined) return
    const { change, stage, title } = first
    return yield* new Ill({ directory: run, stage, title, findings: findings.length, change: change[0]! })
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "tell whether the codebook and the features of a run are healthy, and what to change; exit code 1 if something is ill"
    ),
    Command.withExamples([
      { command: "patchword doctor runs/one" },
      { command: "patchword doctor runs/one --images emoji --split in-new" }
    ])
  )
