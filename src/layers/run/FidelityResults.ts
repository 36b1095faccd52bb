/**
 * Results about pictures that networks draw, kept in the run's folder beside the other results: `results/decoder-SPLIT-….json`
 * and `results/complete-SPLIT-….json`, one file per split. Equal results share a file.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { FidelityResults, Files } from "patchword/layers"
 *
 * const found = FidelityResults.read("runs/none").pipe(Effect.provide(Files.layerNode))
 * assert.deepStrictEqual(await Effect.runPromise(found), [])
 * ```
 */
import { Effect, type FileSystem, type Path, Schema } from "effect"
import * as Fidelity from "../../domain/fidelity/Fidelity.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import * as Version from "../../domain/values/Version.ts"
import { Engine } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import * as Results from "./Results.ts"

/** The verb that drew the pictures: from the codes of whole images, or of images with masked patches. */
export const Verb = Schema.Literals(["decoder", "complete"])

/** The figures of one split, with the networks, the digests and the settings behind them. */
export const Result = Schema.Struct({
  verb: Verb,
  /** The stage, or the file, with the weights of the decoder. */
  network: Schema.String,
  split: Schema.String,
  images: Quantity.Whole,
  /** The fidelity of each way to draw: of the decoder, and of baselines. */
  methods: Schema.Record(Schema.String, Fidelity.Fidelity),
  /** The share of masked patches whose code is predicted correctly. */
  codeAccuracy: Schema.optionalKey(Quantity.Share),
  /** SHA-256 of the weights of the networks, and of the images. */
  digests: Schema.Record(Schema.String, Schema.String),
  /** All else that the figures depend on. */
  settings: Schema.Json,
  computedOn: ComputedOn.ComputedOn,
  patchword: Schema.String
})
export type Result = typeof Result.Type

const text = Json.text(Result, { space: 2 })
const encode = Schema.encodeEffect(text)
const decode = Schema.decodeEffect(text)

/** Makes a result of figures, with the present engine. */
export const make = Effect.fnUntraced(function*(found: Omit<Result, "computedOn" | "patchword">) {
  const { about } = yield* Engine
  const result: Result = { ...found, computedOn: ComputedOn.of(about), patchword: Version.version }
  return result
})

/** Writes results to a run's folder, each atomically. Returns their files. Fails with `FileError` if one cannot be written. */
export const save: (
  run: string,
  results: ReadonlyArray<Result>
) => Effect.Effect<ReadonlyArray<string>, Results.ResultsError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.FidelityResults.save"
)(function*(run, results) {
  const { path, write } = yield* Files.make
  return yield* Effect.forEach(results, (result) =>
    Effect.gen(function*() {
      const content = `${yield* Effect.orDie(encode(result))}\n`
      const file = path.join(run, Results.FOLDER, `${Results.nameOf(result.verb, result.split, content)}.json`)
      yield* Results.within(file)(write(file, content))
      return file
    }))
})

/** Decodes the text of a result. Fails with `NoResult` if it is none. */
export const parse = (content: string): Effect.Effect<Result, Results.NoResult> =>
  Effect.mapError(decode(content), (error) => new Results.NoResult({ problem: Explain.of(error) }))

/** Reads all such results in a run's folder, ordered by the names of their files. Fails with `NoResult` if one is damaged. */
export const read: (
  run: string
) => Effect.Effect<ReadonlyArray<Result>, Results.ResultsError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.FidelityResults.read"
)((run) => Results.readAll(run, Verb.literals, parse))
