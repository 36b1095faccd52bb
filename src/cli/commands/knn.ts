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
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Figures from "../terminal/Figures.ts"

// Nothing is drawn at random.
const { seed: _, ...flags } = EvaluationFlags.flags

/** The command. */
export const knn = Command.make("knn", flags, (given) =>
  Effect.gen(function*() {
    yield* ConfigFlags.onlyOf(["knn"], given)
    const { knn: config } = yield* RunConfig.resolve({ ...given, seed: Option.none() })
    const found = yield* NetworkFlags.open(given)
    yield* Effect.gen(function*() {
      const sets = yield* EvaluationFlags.splits(given)
      yield* ImagesFlags.checkDivision(found.provenance, [sets.learned, ...sets.held])
      const measured = Effect.fnUntraced(function*(network: Artifact.Artifact) {
        const [bank, ...held] = yield* features(network, [sets.learned, ...sets.held], config)
        return { tensors: network.tensors, figures: yield* Knn.knn(config, bank!, held, given.classes) }
      })
      const { figures } = yield* measured(found)
      const random = given.randomBaseline ? yield* measured(Network.untrained(found)) : undefined
      const size = sets.learned.length
      yield* Figures.keep(given, found, sets, {
        verb: "knn",
        recorded: ImagesFlags.recorded(given),
        config: Stage.toJson(KnnConfig, config),
        how: config.neighbours <= size ? {} : {
          neighbours: size,
          fewer:
            `${config.neighbours} neighbours are asked for, and ${given.train} has ${size} images: all of them vote`
        },
        figures,
        random
      })
    }).pipe(Effect.provide(Services.imagesAndEngine(given, found.config.augment)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("classify by the nearest neighbours among the features of a frozen network"),
    Command.withExamples([{ command: "patchword knn runs/one/pretrain --images emoji --tests in-new" }])
  )
