/**
 * The environment of a run: the machine on which it began, the engines that computed it, and the states that its stages
 * continued from.
 */
import { Effect, Option, Schema } from "effect"
// Node 20 lacks this import and would fail to link, before the entries can refuse it by name.
import * as Module from "node:module"
import * as os from "node:os"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import { version } from "../../domain/values/Version.ts"
import type * as Files from "../files/Files.ts"
import { Unreadable } from "./RunsError.ts"
import { readJson, type RunStore } from "./RunStore.ts"

/** Name of the file with the environment. */
export const ENVIRONMENT = "environment.json"

/** The content of `environment.json`. */
export const Environment = Schema.StructWithRest(
  Schema.Struct({
    computedOn: Schema.optionalKey(Schema.Array(ComputedOn.ComputedOn)),
    /** The states that stages continued from, by the names of the stages. */
    continuedFrom: Schema.optionalKey(Schema.Record(Schema.String, ContinuedFrom.ContinuedFrom))
  }),
  [Schema.Record(Schema.String, Schema.Json)]
)

/** Reads the environment of a run. */
export const read = Effect.fnUntraced(function*(store: RunStore) {
  const text = yield* readJson(store, ENVIRONMENT)
  if (Option.isNone(text)) return Option.none()
  const { computedOn = [], continuedFrom = {}, ...machine } = yield* Schema.decodeUnknownEffect(Environment)(text.value)
    .pipe(
      Effect.mapError((error) => new Unreadable({ file: ENVIRONMENT, problem: Explain.of(error) }))
    )
  return Option.some({ computedOn, continuedFrom, machine })
})

/** Writes the environment, as {@link read} returns it. */
export const write = (
  store: RunStore,
  { computedOn, continuedFrom, machine }: Option.Option.Value<Effect.Success<ReturnType<typeof read>>>
) =>
  store.write(
    ENVIRONMENT,
    `${
      JSON.stringify(
        {
          ...machine,
          ...(computedOn.length > 0 && { computedOn }),
          ...(Object.keys(continuedFrom).length > 0 && { continuedFrom })
        },
        null,
        2
      )
    }\n`
  )

const PACKAGES = [
  "effect",
  "@effect/platform-node",
  "@tensorflow/tfjs-core",
  "@tensorflow/tfjs-node",
  "onnxruntime-node",
  "sharp",
  "pure-rand"
]

const Manifest = Json.text(Schema.Struct({ version: Schema.String }))

/** Describes this machine and the versions that numbers can depend on. Packages that are not installed are left out. */
export const here = Effect.fnUntraced(function*(files: Files.Files) {
  const versions = yield* Effect.forEach(
    PACKAGES,
    (name) =>
      Effect.try({ try: () => Module.findPackageJSON(name, import.meta.url), catch: () => undefined }).pipe(
        Effect.flatMap((file) => file === undefined ? Effect.fail(undefined) : files.fs.readFileString(file)),
        Effect.flatMap(Schema.decodeEffect(Manifest)),
        Effect.map((manifest) => [[name, manifest.version]] as const),
        Effect.catch(() => Effect.succeed([]))
      )
  )
  const cpus = os.cpus()
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus[0]?.model.trim() ?? "unknown",
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    packages: { patchword: version, ...Object.fromEntries(versions.flat()) }
  } satisfies Json.Json
})
