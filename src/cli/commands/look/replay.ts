/** `patchword replay`: a failed step again. */
import { Console, Effect, Option, Runtime, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { TaggedError } from "../../../domain/values/TaggedError.ts"
import * as Replay from "../../../pipelines/Replay.ts"
import * as Described from "../../flags/Described.ts"
import * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
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
    return "replay it on the engine of the run, or train on this one"
  }
}

/** The engine that computed the step, as flags name it. */
const engineOf = (
  { batch: { provenance } }: Replay.Failed,
  given: Pick<EngineFlags.EngineFlags, "memory" | "deterministic">
): EngineFlags.EngineFlags => {
  const used = Option.getOrUndefined(provenance)?.computedOn?.at(-1)
  const [library, ...more] = (used?.engine ?? "onnx").split(" ")
  const engine = EngineFlags.ENGINES.find((name) => name === library) ?? "onnx"
  return {
    engine,
    // The others take all cores, and refuse a number.
    threads: engine === "onnx" || engine === "openvino" ? used?.threads ?? 0 : 0,
    precision: EngineFlags.PRECISIONS.find((one) => one === used?.precision) ?? "fp32",
    xla: more.includes("xla"),
    platform: more.includes("cuda") && engine === "xla" ? "cuda" : "cpu",
    devices: used?.devices ?? 1,
    wire: "fp32",
    ...given
  }
}

/** The command. */
export const replay = Command.make("replay", {
  run: Argument.Directory("run").pipe(Argument.withDescription("a run folder in which a step failed")),
  stage: Flag.String("stage").pipe(
    Described.optional("the stage whose step failed", "that of the newest batch by the times of the files")
  ),
  // The batch does not say them, because they are no part of the engine's description.
  memory: EngineFlags.flags.memory,
  deterministic: EngineFlags.flags.deterministic,
  json: Flags.json
}, ({ deterministic, json, memory, run, stage }) =>
  Effect.gen(function*() {
    const failed = yield* Replay.find(run, Option.getOrUndefined(stage))
    const { others } = failed
    if (!json && others.length > 0) {
      const list = others.map(({ stage, step }) => `${stage}, step ${step} (--stage ${stage})`).join("; ")
      yield* Console.log(`Chosen: ${failed.stage}, step ${failed.step}. Other failed steps: ${list}`)
    }
    const found = yield* Replay.replay(failed).pipe(
      Effect.provide(EngineFlags.layer(engineOf(failed, { memory, deterministic })))
    )
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
