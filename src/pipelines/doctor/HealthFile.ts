/**
 * The file of a run's health, `health.json`: the report of the last diagnosis.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Option } from "effect"
 * import { Files } from "patchword/layers"
 * import { HealthFile } from "patchword/pipelines"
 *
 * assert.ok(Option.isNone(await Effect.runPromise(Effect.provide(HealthFile.read("runs/none"), Files.layerNode))))
 * ```
 */
import { Effect, Option, Path, Schema } from "effect"
import { HealthReport } from "../../domain/health/HealthReport.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import { Unreadable, within } from "../../layers/run/RunsError.ts"

/** The name of the file. */
export const NAME = "health.json"

const text = Json.text(HealthReport, { space: 2 })

/** Parses the text of a file. Fails with the problem if it is no report. */
export const parse = Schema.decodeEffect(text)

/** Writes the report of a run, over that of an earlier diagnosis. */
export const save = Effect.fnUntraced(function*(run: string, report: HealthReport) {
  const { path, write } = yield* Files.make
  yield* write(path.join(run, NAME), `${yield* Effect.orDie(Schema.encodeEffect(text)(report))}\n`)
}, (self, run) => within(run)(self))

/** Returns the time at which the report of a run was written, as ISO 8601; nothing if there is none. */
export const written = Effect.fnUntraced(function*(run: string) {
  const { fs, path } = yield* Files.make
  const file = path.join(run, NAME)
  const info = yield* Files.ifThere(Files.onFailure(file)(fs.stat(file)))
  return Option.flatMap(info, ({ mtime }) => Option.map(mtime, (date) => date.toISOString()))
}, (self, run) => within(run)(self))

/** Reads the report of a run; nothing if the run was not diagnosed. Fails with `RunsError` if the file is damaged. */
export const read = Effect.fnUntraced(function*(run: string) {
  const { readText } = yield* Files.make
  const path = yield* Path.Path
  const found = yield* Files.ifThere(readText(path.join(run, NAME)))
  if (Option.isNone(found)) return Option.none<HealthReport>()
  const remake = `patchword doctor ${run} makes it anew`
  return Option.some(
    yield* Effect.mapError(
      parse(found.value),
      (error) => new Unreadable({ file: NAME, problem: Explain.of(error), remake })
    )
  )
}, (self, run) => within(run)(self))
