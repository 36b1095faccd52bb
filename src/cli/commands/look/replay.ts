/** `patchword replay`: a failed step again. */
import { Console, Effect, Layer, Option, Runtime, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { TaggedError } from "../../../domain/values/TaggedError.ts"
import * as Replay from "../../../pipelines/Replay.ts"
import * as Described from "../../flags/Described.ts"
import * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Failure from "../../terminal/Failure.ts"

/** The step does not fail again. */
export class NotReproduced extends TaggedError<NotReproduced>()("NotReproduced", {
  stage: Schema.String,
  step: Schema.Int,
  engine: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `${this.stage}: step ${this.step} does not fail on ${this.engine}`
  }
  get remedy() {
    return "replay it on the engine of the run (without --engine), or train on this one"
  }
}

/** No flags name the engine of the run. */
export class EngineUnnamed extends TaggedError<EngineUnnamed>()("EngineUnnamed", {
  /** The file of the batch. */
  file: Schema.String,
  /** The engine and the precision that it records; absent if it records none. */
  used: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    const { file, used } = this
    return used === undefined
      ? `${file} does not record the engine of the run`
      : `${file}: the run used the engine ${used}, which this command cannot start`
  }
  get remedy() {
    return "choose another engine, for example --engine onnx"
  }
}

// A step is taken again by one rank.
type Named = Pick<EngineFlags.EngineFlags, "engine" | "xla" | "platform" | "wire" | "collectives">

const named = (engine: Named["engine"], more: Partial<Named> = {}): Named => ({
  engine,
  xla: false,
  platform: "cpu",
  wire: "fp32",
  collectives: "host",
  ...more
})

/** The engines as runs record them. */
const RECORDED: ReadonlyMap<string, Named> = new Map([
  ["onnx cpu", named("onnx")],
  ["openvino", named("openvino")],
  ["tensorflow", named("tensorflow")],
  ["tensorflow xla", named("tensorflow", { xla: true })],
  ["xla cpu", named("xla")],
  ["xla cuda", named("xla", { platform: "cuda" })],
  ["reference", named("reference")]
])

type Given = Pick<EngineFlags.EngineFlags, "memory" | "deterministic">

/** The engine that computed the step, with its settings. */
const used = (
  { batch: { provenance }, file }: Replay.Failed,
  given: Given
): Effect.Effect<EngineFlags.EngineFlags, EngineUnnamed> => {
  const recorded = Option.getOrUndefined(provenance)?.computedOn?.at(-1)
  if (recorded === undefined) return Effect.fail(new EngineUnnamed({ file }))
  const known = RECORDED.get(recorded.engine)
  const precision = EngineFlags.PRECISIONS.find((one) => one === recorded.precision)
  if (known === undefined || precision === undefined) {
    return Effect.fail(new EngineUnnamed({ file, used: `"${recorded.engine}" in ${recorded.precision}` }))
  }
  // The others take all cores, and refuse a number.
  const threads = known.engine === "onnx" || known.engine === "openvino" ? recorded.threads : 0
  return Effect.succeed({ ...known, threads, precision, devices: recorded.devices ?? 1, ...given })
}

/** The engine that was chosen, or else that of the run. */
const engineOf = (failed: Replay.Failed, chosen: Option.Option<Named["engine"]>, given: Given) =>
  Option.match(chosen, {
    onSome: (engine) => EngineFlags.layer({ ...named(engine), threads: 0, precision: "fp32", devices: 1, ...given }),
    onNone: () =>
      Layer.unwrap(
        Effect.map(used(failed, given), (one) =>
          EngineFlags.layer(one, { source: `the engine of the run, ${one.engine}` }))
      )
  })

/** The command. */
export const replay = RunPlace.command("replay", { run: "all" }, {
  run: Argument.Directory("run").pipe(Argument.withDescription("a run folder in which a step failed")),
  stage: Flag.String("stage").pipe(
    Described.optional("the stage whose step failed", "that of the newest batch by the times of the files")
  ),
  engine: Flag.Literals("engine", EngineFlags.ENGINES).pipe(
    Described.optional(
      "another engine, on all cores and in fp32",
      "that of the run, with its threads, precision and devices"
    )
  ),
  // The batch does not say them, because they are no part of the engine's description.
  memory: EngineFlags.flags.memory,
  deterministic: EngineFlags.flags.deterministic,
  json: Flags.json
}, ({ deterministic, engine: chosen, json, memory, run, stage }) =>
  Effect.gen(function*() {
    const failed = yield* Replay.find(run, Option.getOrUndefined(stage))
    const { others } = failed
    if (!json && others.length > 0) {
      const list = others.map(({ stage, step }) => `${stage}, step ${step} (--stage ${stage})`).join("; ")
      yield* Console.log(`Chosen: ${failed.stage}, step ${failed.step}. Other failed steps: ${list}`)
    }
    const found = yield* Effect.provide(Replay.replay(failed), engineOf(failed, chosen, { memory, deterministic }))
    const { before, engine, reason, step } = found
    if (reason === undefined) return yield* new NotReproduced({ stage: found.stage, step, engine })
    const { finding } = reason
    yield* Console.log(
      json
        ? JSON.stringify({
          stage: found.stage,
          step,
          engine,
          reason: reason._tag,
          finding,
          before: before ?? null,
          others
        })
        : [
          `${found.stage}, step ${step}, on ${engine}: it fails again. ${finding}`,
          before === undefined
            ? "All numbers of its batch and of the state before it are finite: they overflow in the step"
            : `${before.array} held ${before.value} before the step (element ${before.index})`
        ].join("\n")
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "take a failed step again, from the batch and the state that the run keeps, on the same engine with the same threads, " +
        "precision and devices. The run does not keep its --memory and --deterministic: give them again"
    ),
    Command.withExamples([{ command: "patchword replay runs/one" }])
  )
