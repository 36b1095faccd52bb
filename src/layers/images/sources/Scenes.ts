/** Made-up scenes of emoji on textured grounds, with the classes of their pixels. */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as Scene from "../../../domain/pixels/Scene.ts"
import type { Annotated } from "../../../domain/pixels/SegmentationView.ts"
import * as KeyedRandom from "../../../domain/values/KeyedRandom.ts"
import { memoize } from "../../files/Memoize.ts"
import { about, UnknownSplit } from "../reading/ImagesError.ts"
import { type ImageSet, keeping, outside } from "../reading/ImageSet.ts"
import * as Emoji from "./Emoji.ts"
import * as Labels from "./Labels.ts"
import * as SceneClasses from "./SceneClasses.ts"

/** Options of the scenes. Their emoji are drawn once, and kept as those of `layerEmoji`. */
export interface Options extends Pick<Emoji.Options, "cache" | "from"> {
  /** Random seed of the scenes; default 0. */
  readonly seed?: number
  /** Number of scenes of a split; default 2000 for `train`, and 200 for each other split. */
  readonly scenes?: Readonly<Record<string, number>>
}

/** Objects of about the size at which the demo's networks are pretrained. */
const RECIPE: Scene.Recipe = { size: 96, count: [2, 4], side: [40, 56], overlap: 0.2 }

/** Version in the digests of scenes. It is increased when the same drawings are to give other pixels. */
const PROTOCOL = 1

const COUNTS: Readonly<Record<string, number>> = {
  train: 2000,
  val: 200,
  "in-new": 200,
  "flat-new": 200,
  "3d-new": 200
}

export const splits: ReadonlyArray<string> = Object.keys(COUNTS)

/** Sorts drawings by class and by concept. */
const stockOf = (drawn: ReadonlyArray<Emoji.Drawn>): Scene.Stock => {
  const [, ...objects] = SceneClasses.names
  const byClass = Map.groupBy(drawn, ({ group, subgroup }) => SceneClasses.of(group, subgroup))
  return objects.map((name) => [...Map.groupBy(byClass.get(name) ?? [], ({ concept }) => concept).values()])
}

export const make = Effect.fnUntraced(function*(options: Options) {
  const { scenes = {}, seed = 0, ...emoji } = options
  const { drawn } = yield* Emoji.make(emoji)

  const load = Effect.fnUntraced(function*(split: string) {
    if (!Object.hasOwn(COUNTS, split)) return yield* about("scenes")(new UnknownSplit({ split, splits }))
    const length = scenes[split] ?? COUNTS[split]!
    const drawings = yield* drawn(split)
    const stock = stockOf(drawings)
    const hash = createHash("sha256").update(
      JSON.stringify([PROTOCOL, RECIPE, SceneClasses.names, split, length, seed])
    )
    for (const { concept, data, group, subgroup } of drawings) {
      hash.update(JSON.stringify([group, subgroup, concept])).update(data)
    }
    const labels = new Int32Array(length)
    const kept: Array<Annotated | undefined> = []
    const scene = (index: number): Annotated =>
      kept[index] ??= Scene.random(
        stock,
        RECIPE,
        KeyedRandom.generator({ seed, purpose: `scene/${split}`, epoch: 0, index })
      )
    const at = <A>(get: (scene: Annotated) => A) => (index: number) =>
      index in labels ? Effect.sync(() => get(scene(index))) : outside(split, index, length)
    const set: ImageSet = {
      name: split,
      length,
      classes: [Labels.NONE],
      labels,
      labelSource: "nothing: scenes show objects of several classes",
      digest: hash.digest("hex"),
      skipped: [],
      leftOut: [],
      image: keeping(at(({ picture }) => picture), () => true),
      annotation: at((annotated) => annotated.labels),
      pixelClasses: SceneClasses.names,
      describe: (index) => `scene ${index}`
    }
    return set
  })

  return { splits, load: yield* memoize(load) }
})
