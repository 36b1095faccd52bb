/** Hands command lines in as a job. */
import { Console, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import * as Stages from "../../../jobs/Stages.ts"
import * as ConfigFile from "../../../layers/files/ConfigFile.ts"
import * as Described from "../../flags/Described.ts"
import type * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
import * as StoreFlags from "../../flags/StoreFlags.ts"
import type { Root } from "../help.ts"
import * as CommandRun from "./CommandRun.ts"

/** The store, and the workers that a job is for. */
export const flags = {
  store: StoreFlags.store,
  gpu: Described.flag("gpu", "only for workers with --gpu; on with --platform cuda"),
  memoryNeeded: Flag.Finite("memory-needed").pipe(
    Flag.filter((memory) => memory >= 0, () => "0 or more"),
    Described.withDefault("only for workers with so much memory, in GiB; patchword plan tells it", 0)
  ),
  json: Flags.json
}

/** The folder of shards, and the number of workers that share a job. */
export const shared = {
  shards: Flag.String("shards").pipe(
    Described.required("a folder that all workers see, in which each makes parts of the work; delete it at the end")
  ),
  workers: Flag.Int("workers").pipe(
    Flag.filter((workers) => workers >= 1, () => "1 or more"),
    Described.optional("the most workers that share the job", "all that fit it and have no job of their own")
  )
}

/** The values of {@link flags}, and those that tell what a worker needs. */
interface Given extends Pick<EngineFlags.EngineFlags, "engine" | "platform"> {
  readonly store: Option.Option<string>
  readonly gpu: boolean
  readonly memoryNeeded: number
  readonly json: boolean
  readonly config?: Option.Option<string>
}

/** Hands in the command lines of a job, and prints its number. The file of `--config` is read now, and travels with it. */
export const handIn = Effect.fnUntraced(function*(
  root: () => Root,
  given: Given,
  asked: Pick<CommandRun.Payload, "lines" | "out" | "workers">
) {
  const { lines, out, ...shared } = asked
  const { config = Option.none(), engine, gpu, json, memoryNeeded, platform, store } = given
  const payload: CommandRun.Payload = {
    out,
    config: Option.isNone(config) ? null : yield* ConfigFile.read(Schema.Json, config.value),
    lines,
    needs: {
      engine: engine === "auto" ? "onnx" : engine,
      gpu: gpu || platform === "cuda",
      memoryGiB: memoryNeeded
    },
    ...shared
  }
  const job = yield* Stages.submit(CommandRun.make(root), payload).pipe(
    Effect.provide(StoreFlags.jobs(store, { make: true }))
  )
  const stages = lines.map(({ name }) => name)
  yield* Console.log(
    json
      ? JSON.stringify({ job, out, stages })
      : `job ${job}: ${stages.join(", ")} in ${out}\npatchword jobs show ${job} tells how far it is`
  )
})
