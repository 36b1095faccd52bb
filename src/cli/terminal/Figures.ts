/** The figures of a frozen network: kept beside its run, and printed. */
import { Effect, Option } from "effect"
import type { Accuracy } from "../../domain/evaluation/Accuracy.ts"
import type * as Json from "../../domain/values/Json.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Kept from "./Kept.ts"
import * as Print from "./Print.ts"

/** The origin of figures, and the place where they are kept. */
interface Given {
  readonly network: string
  readonly out: Option.Option<string>
  readonly train: string
  readonly classes: string
  readonly json: boolean
}

/** Figures under one setting. */
export interface Variant {
  readonly verb: "probe" | "knn"
  readonly config: Json.Json
  /** The setting, and how the figures came about. */
  readonly how: Readonly<Record<string, Json.Json | undefined>>
  /** More of that, which is too long for people. */
  readonly details?: Readonly<Record<string, Json.Json>>
  /** The setting in the columns of a table, if there are several variants. */
  readonly columns?: ReadonlyArray<Readonly<Record<string, string>>>
  readonly figures: ReadonlyArray<Accuracy>
  /** Those of the network with random weights, if they were asked for. */
  readonly random?: ReadonlyArray<Accuracy> | undefined
}

const known = (how: Variant["how"]): Readonly<Record<string, Json.Json>> =>
  Object.fromEntries(Object.entries(how).flatMap(([key, value]) => value === undefined ? [] : [[key, value]]))

/** What people need beside a table of several variants: the images of each choice, values at an end, and fits that did not converge. */
const REMARKS: ReadonlySet<string> = new Set(["chosenOn", "fittedOn", "edge", "unconverged"])

const remarks = (variants: ReadonlyArray<Variant>): Readonly<Record<string, Json.Json>> =>
  Object.fromEntries(
    variants.flatMap(({ columns, how }) =>
      Object.entries(known(how)).filter(([key]) => REMARKS.has(key)).map(([key, value]) =>
        [[columns?.[0]?.method, key].filter((part) => part !== undefined).join(", "), value] as const
      )
    )
  )

/** Keeps figures where they belong, and prints them with how they came about. There is at least one variant. */
export const keep = Effect.fnUntraced(function*(
  given: Given,
  found: Artifact.Artifact,
  sets: {
    readonly learned: ImageSet
    readonly held: ReadonlyArray<ImageSet>
    readonly others?: ReadonlyArray<ImageSet>
  },
  result: {
    /** The part of the images that is held out. */
    readonly recorded: Readonly<Record<string, Json.Json>>
    readonly variants: ReadonlyArray<Variant>
    /** The random weights of the network that was measured for comparison. */
    readonly randomTensors?: Weights.Tensors | undefined
  }
) {
  const { held, learned, others = [] } = sets
  const { randomTensors, recorded, variants } = result
  const { classes, json, network, out, train } = given
  const about = {
    network: found.provenance?.stage ?? found._tag.toLowerCase(),
    weights: yield* Weights.digest(found.tensors),
    train: learned.digest,
    vit: "encoder" in found.config ? found.config.encoder : found.config.vit
  }
  const made = yield* Effect.forEach(
    variants,
    Effect.fnUntraced(function*(variant) {
      const { config, details, figures, how, random, verb } = variant
      const settings = { config, train, classes, ...known(how), ...details, ...recorded }
      return {
        found: yield* Results.make({ ...about, verb, settings }, held, figures),
        random: random === undefined || randomTensors === undefined ? [] : yield* Results.make(
          {
            ...about,
            verb,
            settings,
            network: "random",
            weights: yield* Weights.digest(randomTensors),
            vit: undefined
          },
          held,
          random
        )
      }
    })
  )
  const folder = Option.isSome(out) ? out : yield* Results.runOf(network)
  const several = variants.length > 1
  const [first, ...more] = variants.map(({ columns, figures, random }, i) => ({
    found: figures,
    random,
    columns,
    paper: made[i]!.found.map(({ paper }) => paper)
  }))
  const kept = made.flatMap((one) => [...one.found, ...one.random])
  yield* Kept.keep(folder, kept, json, (results) =>
    Print.evaluation(
      json,
      {
        network,
        ...(several && !json ? remarks(variants) : {}),
        ...(several ? {} : { ...known(variants[0]!.how), ...(json ? variants[0]!.details : {}) }),
        ...(several && json
          ? {
            variants: variants.map(({ details, figures, how, random, verb }) => ({
              verb,
              ...known(how),
              ...details,
              figures,
              random
            }))
          }
          : {}),
        results
      },
      first!,
      [learned, ...held, ...others],
      more
    ))
})
