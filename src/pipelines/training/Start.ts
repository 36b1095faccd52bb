/** The start of a classifier's training: other networks or weights, and the check that they fit. */
import { Equal, Record } from "effect"
import type { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import type { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as Json from "../../domain/values/Json.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as Block from "../../nn/blocks/Block.ts"
import type { Backbone } from "../trained/Backbone.ts"
import type { Classifier } from "../trained/Classifier.ts"
import type { OtherEncoder } from "./OtherEncoder.ts"
import * as Stage from "./Stage.ts"

/** Weights of others, with names and shapes only. All other settings are assumed to be as configured. */
export interface Bare {
  /** The path of their file. */
  readonly source: string
  readonly tensors: Weights.Tensors
}

/** A start for the training of a classifier. */
export type Start = Backbone | Classifier | OtherEncoder | Bare

const epsilonOf = ({ normEpsilon }: Pick<VitConfig, "normEpsilon">): number => normEpsilon ?? Block.EPSILON

type Seen = Readonly<Record<string, Json.Json>>

/** Selects the settings that change the outputs of a network and do not show in its weights. */
const unseen = (
  { augment: { mean, std }, vit }: {
    readonly augment: Pick<AugmentConfig, "mean" | "std">
    readonly vit: Pick<VitConfig, "heads" | "normEpsilon">
  }
): Seen => ({
  "vit.heads": vit.heads,
  "vit.normEpsilon": epsilonOf(vit),
  "augment.mean": mean,
  "augment.std": std
})

// The norm before the head of a classifier tells what it sees: it is called otherwise for the mean and for the class token.
const pooledBy = ({ tensors }: Bare): Seen => {
  if (!Object.hasOwn(tensors, "head.weight")) return {}
  if (Object.hasOwn(tensors, "fc_norm.weight")) return { "vit.pooling": "mean" }
  return Object.hasOwn(tensors, "norm.weight") ? { "vit.pooling": "cls" } : {}
}

/** Refuses settings that differ from those that the weights were trained with. */
export const checkAgreement = (
  stage: string,
  config: FinetuneConfig,
  start: Start | Pick<Backbone, "config">
) => {
  const pooled = ({ vit }: FinetuneConfig): Seen => ({ "vit.pooling": vit.pooling })
  const asked = { ...unseen(config), ...pooled(config) }
  const given: Seen = "config" in start
    ? { ...unseen(start.config), ...("classes" in start ? pooled(start.config) : {}) }
    : "encoder" in start
    ? unseen({ augment: start.channels, vit: start.encoder })
    : pooledBy(start)
  return Stage.requireConfig(
    stage,
    Record.map(given, (value, key) => [
      Json.canonical(value) !== Json.canonical(asked[key]!),
      `expected ${JSON.stringify(value)}, the value that the weights were trained with, got ${
        JSON.stringify(asked[key])
      }; set finetune.${key} to it`
    ])
  )
}

const HEAD = /^head\./

const showClasses = (classes: ReadonlyArray<string>): string =>
  `${classes.slice(0, 5).join(", ")}${classes.length > 5 ? ", …" : ""}`

/** Returns the arrays that training starts from, without a head for other classes, and messages about them. */
export const tensorsOf = (config: FinetuneConfig, classes: ReadonlyArray<string>, start: Start) => {
  const { tensors } = start
  const headless = Record.filter(tensors, (_, name) => !HEAD.test(name))
  const head = tensors["head.weight"]?.shape[0]
  if ("classes" in start) {
    if (Equal.equals(start.classes, classes)) return { tensors, said: [] }
    const said = `the head is left out, and a new one is trained. It has ${start.classes.length} classes ` +
      `(${showClasses(start.classes)}), the images have ${classes.length} (${showClasses(classes)})`
    return { tensors: headless, said: [said] }
  }
  if ("codes" in start || "encoder" in start) return { tensors, said: [] }
  const tables = Object.keys(tensors).some((name) => name.endsWith("relative_position_bias_table"))
  const assumed = Object.entries(unseen(config)).filter(([key]) => key !== "vit.heads" || !tables)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
  const said = `${start.source} has weights only. Assumed as configured: ${assumed.join(", ")}`
  if (head === undefined) return { tensors, said: [said] }
  return head === classes.length
    ? { tensors, said: [said, `the head for ${head} classes is used. ${start.source} does not name the classes`] }
    : {
      tensors: headless,
      said: [said, `the head for ${head} classes is left out, because the images have ${classes.length}`]
    }
}
