/** `patchword knn`: how well the nearest neighbours in the features of a frozen network classify. */
import { Effect, Option } from "effect"
import { Command } from "effect/cli"
import { KnnConfig } from "../../domain/config/KnnConfig.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import { features } from "../../pipelines/evaluate/Features.ts"
import * as Knn from "../../pipelines/evaluate/Knn.ts"
import * as Network from "../../pipelines/trained/Network.ts"
import * as Stage from "../../pipelines/training/Stage.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as EvaluationFlags from "../flags/EvaluationFlags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Figures from "../terminal/Figures.ts"
import * as Print from "../terminal/Print.ts"

// Nothing is drawn at random.
const { seed: _, ...flags } = EvaluationFlags.flags

/** The command. */
export const knn = RunPlace.command("knn", EvaluationFlags.uses, flags, (given) =>
  Effect.gen(function*() {
    yield* ConfigFlags.onlyOf(["knn"], given)
    const { knn: config } = yield* RunConfig.resolve({ ...given, seed: Option.none() })
    const found = yield* NetworkFlags.open(given)
    yield* Effect.gen(function*() {
      const sets = yield* EvaluationFlags.splits(given)
      yield* ImagesFlags.checkDivision(found.provenance, [sets.learned, ...sets.held])
      const measured = Effect.fnUntraced(function*(network: Artifact.Artifact) {
        const [bank, ...held] = yield* features(network, [sets.learned, ...sets.held], config)
        const found = yield* Knn.compareNeighbours(config, bank!, held, given.classes)
        return { tensors: network.tensors, found }
      })
      const { found: compared } = yield* measured(found)
      const random = given.randomBaseline ? yield* measured(Network.untrained(found)) : undefined
      const size = sets.learned.length
      const several = compared.length > 1
      const few = compared.some(({ perClass }) => perClass !== undefined)
      const variants = compared.map((one, i): Figures.Variant => {
        const { deviations, figures, neighbours, perClass, tries } = one
        return {
          verb: "knn",
          config: Stage.toJson(KnnConfig, config),
          how: {
            ...(neighbours > size
              ? {
                neighbours: size,
                fewer: `${neighbours} neighbours are asked for, and ${given.train} has ${size} images: all of them vote`
              }
              : several
              ? { neighbours }
              : {}),
            perClass,
            tries,
            deviations: deviations && Object.fromEntries(figures.map(({ split }, at) => [split, deviations[at]!]))
          },
          ...(several
            ? {
              columns: figures.map((_, at) => ({
                k: String(Math.min(neighbours, size)),
                ...(few ? { "per class": perClass === undefined ? "all" : String(perClass) } : {}),
                ...(few ? { "± of tries": Print.percent(deviations?.[at]) } : {})
              }))
            }
            : {}),
          figures,
          random: random?.found[i]?.figures
        }
      })
      yield* Figures.keep(given, found, sets, {
        recorded: ImagesFlags.recorded(given),
        variants,
        randomTensors: random?.tensors
      })
    }).pipe(Effect.provide(Services.imagesAndEngine(given, found.config)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("classify by the nearest neighbours among the features of a frozen network"),
    Command.withExamples([
      { command: "patchword knn runs/one/pretrain --images emoji --tests in-new" },
      { command: "patchword knn runs/one/pretrain --images emoji --tests in-new --set knn.neighbours=[10,20,100,200]" },
      { command: "patchword knn runs/one/pretrain --images emoji --tests in-new --set knn.fewShot.perClass=[1,5,10]" }
    ])
  )
