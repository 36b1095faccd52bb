/** Flags of the evaluation of a frozen network. */
import { Effect, type Option } from "effect"
import { Flag } from "effect/cli"
import * as Presets from "../../domain/config/presets/Presets.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import { Images } from "../../layers/images/Images.ts"
import * as ConfigFlags from "./ConfigFlags.ts"
import * as Described from "./Described.ts"
import * as EngineFlags from "./EngineFlags.ts"
import * as Flags from "./Flags.ts"
import * as ImagesFlags from "./ImagesFlags.ts"
import { network } from "./NetworkFlags.ts"

/** The network, its test splits, the engine, and the folder of the figures. */
export const flags = {
  network,
  train: Flag.String("train").pipe(Described.withDefault("the split that is learned from", "train")),
  tests: Flags.tests,
  classes: Flags.classes,
  randomBaseline: Flags.randomBaseline,
  out: Flag.Directory("out").pipe(
    Described.optional("a folder for the figures, which are OUT/results/*.json", "the run of the network")
  ),
  ...ConfigFlags.flags,
  preset: Flag.String("preset").pipe(
    Described.optional(
      `the settings for a network that is of no run (choices: ${Object.keys(Presets.all).join(", ")})`,
      "the settings of the run; tiny where there is no run"
    )
  ),
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  json: Flags.json
}

/** The values of {@link flags} that concern the evaluation. */
export interface EvaluationFlags {
  readonly network: string
  readonly out: Option.Option<string>
  readonly train: string
  readonly tests: ReadonlyArray<string>
  readonly classes: Classes.Rule
  readonly json: boolean
}

/** The split that is learned from and those that are tested. Fails where their classes do not meet. */
export const splits = Effect.fnUntraced(function*(flags: EvaluationFlags) {
  const { classes, tests, train } = flags
  const { load } = yield* Images
  const learned = yield* load(train)
  const held = yield* Effect.forEach(tests, load)
  yield* Effect.fromResult(Classes.meetAll(learned, held, classes))
  return { learned, held }
})

/** The uses of runs in {@link flags}. */
export const uses = { network: "measured", out: "measured" } as const
