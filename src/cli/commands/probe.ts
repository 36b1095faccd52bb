/** `patchword probe`: how well a linear classifier does on the features of a frozen network. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Images } from "../../layers/images/Images.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Network from "../../pipelines/trained/Network.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EvaluationFlags from "../flags/EvaluationFlags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as ProbeMethod from "../flags/ProbeMethod.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Figures from "../terminal/Figures.ts"

/** The command. */
export const probe = RunPlace.command("probe", EvaluationFlags.uses, {
  ...EvaluationFlags.flags,
  method: ProbeMethod.flag,
  validation: Flag.String("validation").pipe(
    Described.optional(
      "the split that settings are chosen on, such as the regularisation; where it is one of --tests, a part of --train is held out instead; --method logreg is then fitted on both",
      "a part of --train that is held out"
    )
  )
}, (given) =>
  Effect.gen(function*() {
    yield* ConfigFlags.onlyOf(given.method === "all" ? ["probe", "knn"] : ["probe"], given)
    yield* ProbeMethod.check(given.method, given.set)
    const preset = yield* RunConfig.resolve(given)
    const found = yield* NetworkFlags.open(given)
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const sets = yield* EvaluationFlags.splits(given)
      yield* ImagesFlags.checkDivision(found.provenance, [sets.learned, ...sets.held])
      const shown = new Set([given.train, ...given.tests])
      const chooser = yield* Effect.forEach(
        Option.toArray(given.validation).filter((split) => !shown.has(split)),
        load
      )
      const measured = (network: Artifact.Artifact) =>
        ProbeMethod.measure(given.method, given, preset, {
          network,
          train: sets.learned,
          tests: sets.held,
          validation: chooser[0]
        })
      const untrained = given.randomBaseline ? Network.untrained(found) : undefined
      const random = untrained === undefined ? undefined : yield* measured(untrained)
      const variants = (yield* measured(found)).map((variant, i) => ({ ...variant, random: random?.[i]?.figures }))
      yield* Figures.keep(given, found, { ...sets, others: chooser }, {
        recorded: ImagesFlags.recorded(given),
        variants,
        randomTensors: untrained?.tensors
      })
    }).pipe(Effect.provide(Services.imagesAndEngine(given, found.config)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("fit a linear classifier on the features of a frozen network"),
    Command.withExamples([
      { command: "patchword probe runs/one/pretrain --images emoji --tests in-new,flat-new" },
      { command: "patchword probe runs/one/pretrain --images emoji --tests in-new --method logreg" },
      {
        command:
          "patchword probe runs/one/pretrain --images emoji --tests in-new --method sweep --set probe.sweep.steps=500"
      }
    ])
  )
