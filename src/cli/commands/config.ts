/** `patchword config`: the whole configuration, explained. */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import * as ConfigKeys from "../../domain/config/ConfigKeys.ts"
import * as Origins from "../../domain/config/Origins.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as TrainingLength from "../../domain/config/TrainingLength.ts"
import * as Json from "../../domain/values/Json.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as Failure from "../terminal/Failure.ts"

/** A key with its value, which is nothing where the key is not set, and where the value came from. */
interface Line {
  readonly path: ReadonlyArray<string>
  readonly description: string
  readonly value: Json.Json | undefined
  readonly from: string
}

const pathsOf = (changes: Json.Json): ReadonlyArray<string> =>
  Origins.leaves(changes).flatMap(([path]) => TrainingLength.stored(path))

const at = (config: Json.Json, path: ReadonlyArray<string>): Json.Json | undefined =>
  path.reduce<Json.Json | undefined>((value, key) => Json.isObject(value) ? value[key] : undefined, config)

const linesOf = (config: Json.Json, origins: ReadonlyMap<string, string>): ReadonlyArray<Line> =>
  ConfigKeys.of(Preset)
    .filter(({ path }) => Json.isObject(at(config, path.slice(0, -1))))
    .map(({ description = "", path }) => ({
      path,
      description,
      value: at(config, path),
      from: origins.get(path.join(".")) ?? "default"
    }))

// JSON is YAML. Keys that are not set are comments, so that a file of these lines says the same.
const yaml = ({ description, from, path, value }: Line): string => {
  const indent = "  ".repeat(path.length - 1)
  const key = path.at(-1)!
  const comment = `${indent}# ${description}`
  if (value === undefined) return `${comment}\n${indent}# ${key}: not set`
  return Json.isObject(value)
    ? `${path.length === 1 ? "\n" : ""}${comment}\n${indent}${key}:`
    : `${comment}\n${indent}${key}: ${JSON.stringify(value)} # ${from}`
}

/** The command. */
export const config = Command.make(
  "config",
  { ...ConfigFlags.flags, json: Flags.json },
  (given) =>
    Effect.gen(function*() {
      const layers = yield* Effect.forEach(
        yield* ConfigFlags.layered(given),
        ({ changes = [], name, preset }) =>
          Effect.map(ConfigFlags.toJson(preset), (value) => ({ name, value, given: changes.flatMap(pathsOf) }))
      )
      const whole = layers.at(-1)!.value
      const lines = linesOf(whole, Origins.of(layers))
      if (!given.json) return yield* Console.log(lines.map(yaml).join("\n").trim())
      const keys = lines.filter(({ value }) => !Json.isObject(value)).map(({ path, value = null, ...line }) => (
        { key: path.join("."), value, ...line }
      ))
      yield* Console.log(JSON.stringify({ config: whole, keys }))
    }).pipe(Failure.mapErrors)
).pipe(
  Command.withDescription("print the whole configuration as YAML, each key explained"),
  Command.withExamples([
    { command: "patchword config --preset base --set pretrain.optimizer.epochs=300" },
    { command: "patchword config --preset tiny > my.yaml" }
  ])
)
