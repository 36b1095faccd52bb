/** `patchword probe`: how well a linear classifier does on the features of a frozen network. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import { Images } from "../../layers/images/Images.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import { features } from "../../pipelines/evaluate/Features.ts"
import * as Probe from "../../pipelines/evaluate/Probe.ts"
import * as Network from "../../pipelines/trained/Network.ts"
import * as Stage from "../../pipelines/training/Stage.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EvaluationFlags from "../flags/EvaluationFlags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Figures from "../terminal/Figures.ts"

/** The command. */
export const probe = Command.make("probe", {
  ...EvaluationFlags.flags,
  validation: Flag.String("validation").pipe(
    Described.optional(
      "the split that the regularisation is chosen on; where it is one of --tests, a part of --train is held out instead",
      "a part of --train that is held out"
    )
  )
}, (given) =>
  Effect.gen(function*() {
    yield* ConfigFlags.onlyOf(["probe"], given)
    const { probe: config } = yield* RunConfig.resolve(given)
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
      const measured = Effect.fnUntraced(function*(network: Artifact.Artifact) {
        const all = [sets.learned, ...sets.held, ...chooser]
        const [train, ...others] = yield* features(network, all, config)
        const tests = others.slice(0, sets.held.length)
        const validation = others[sets.held.length]
        const probed = yield* Probe.probe(config, { train: train!, validation, tests }, given.classes)
        return { ...probed, tensors: network.tensors }
      })
      const random = given.randomBaseline ? yield* measured(Network.untrained(found)) : undefined
      const { atEdge, chosenOn, figures, l2, tried } = yield* measured(found)
      yield* Figures.keep(given, found, { ...sets, others: chooser }, {
        verb: "probe",
        recorded: ImagesFlags.recorded(given),
        config: Stage.toJson(ProbeConfig, config),
        variants: [{
          how: {
            l2,
            chosenOn,
            tried: tried.length === 0 ? undefined : tried.map(({ score, value }) => ({ l2: value, top1: score })),
            ...(atEdge
              ? {
                edge:
                  `${l2} is the last of the tried values, and a better one may lie beyond; try others by --set probe.l2`
              }
              : {})
          },
          figures,
          random: random?.figures
        }],
        randomTensors: random?.tensors
      })
    }).pipe(Effect.provide(Services.imagesAndEngine(given, found.config.augment)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("fit a linear classifier on the features of a frozen network"),
    Command.withExamples([{ command: "patchword probe runs/one/pretrain --images emoji --tests in-new,flat-new" }])
  )
