/** The figures of a frozen network: kept beside its run, and printed. */
import { Effect, Option } from "effect"
import type { Accuracy } from "../../domain/evaluation/Accuracy.ts"
import type * as Json from "../../domain/values/Json.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Print from "./Print.ts"

/** The origin of figures, and the place where they are kept. */
interface Given {
  readonly network: string
  readonly out: Option.Option<string>
  readonly train: string
  readonly classes: string
  readonly json: boolean
}

/** Keeps figures where they belong, and prints them with how they came about. */
export const keep = Effect.fnUntraced(function*(
  given: Given,
  found: Artifact.Artifact,
  sets: {
    readonly learned: ImageSet
    readonly held: ReadonlyArray<ImageSet>
    readonly others?: ReadonlyArray<ImageSet>
  },
  result: {
    readonly verb: "probe" | "knn"
    readonly config: Json.Json
    /** The part of the images that is held out. */
    readonly recorded: Readonly<Record<string, Json.Json>>
    readonly how: Readonly<Record<string, Json.Json | undefined>>
    readonly figures: ReadonlyArray<Accuracy>
    /** The same of the network with random weights, where it was asked for. */
    readonly random?: { readonly tensors: Weights.Tensors; readonly figures: ReadonlyArray<Accuracy> } | undefined
  }
) {
  const { held, learned, others = [] } = sets
  const { config, figures, how, random, recorded, verb } = result
  const { classes, json, network, out, train } = given
  const known = Object.fromEntries(
    Object.entries(how).flatMap(([key, value]) => value === undefined ? [] : [[key, value]])
  )
  const about: Results.About = {
    verb,
    network: found.provenance?.stage ?? found._tag.toLowerCase(),
    weights: Weights.digest(found.tensors),
    train: learned.digest,
    settings: { config, train, classes, ...known, ...recorded },
    vit: "encoder" in found.config ? found.config.encoder : found.config.vit
  }
  const kept = yield* Results.make(about, held, figures)
  const folder = Option.isSome(out) ? out : yield* Results.runOf(network)
  const files = Option.isNone(folder)
    ? undefined
    : yield* Results.save(folder.value, [
      ...kept,
      ...(random === undefined
        ? []
        : yield* Results.make(
          { ...about, network: "random", weights: Weights.digest(random.tensors), vit: undefined },
          held,
          random.figures
        ))
    ])
  const results = json ? files ?? [] : files?.join(", ") ??
    "not kept: the network belongs to no run; name a folder with --out"
  yield* Print.evaluation(
    json,
    { network, ...known, results },
    { found: figures, random: random?.figures, paper: kept.map(({ paper }) => paper) },
    [learned, ...held, ...others]
  )
})
