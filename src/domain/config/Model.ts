/**
 * The description of a network, stored with its weights. It is enough to build the network again.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Model, Presets } from "patchword/domain"
 *
 * const model = Model.Backbone.make({ config: Presets.tiny.pretrain, codes: 256 })
 * assert.strictEqual(model._tag, "Backbone")
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import { FinetuneConfig } from "./FinetuneConfig.ts"
import { PretrainConfig } from "./PretrainConfig.ts"
import { TokenizerConfig } from "./TokenizerConfig.ts"

/** A tokenizer, with the number of channels of its teacher's features. */
export const Tokenizer = Schema.TaggedStruct("Tokenizer", { config: TokenizerConfig, teacherWidth: Quantity.Count })

/** A pretrained network, with the number of codes that it predicts. */
export const Backbone = Schema.TaggedStruct("Backbone", { config: PretrainConfig, codes: Quantity.Count })

/** A classifier and the names of its classes, with their WordNet numbers if these are known beside the names. */
export const Classifier = Schema.TaggedStruct("Classifier", {
  config: FinetuneConfig,
  classes: Schema.Array(Schema.String).check(Schema.isMinLength(1)),
  synsets: Schema.optionalKey(Schema.Array(Schema.String))
})

/** Any of the three models. */
export const Model = Schema.Union([Tokenizer, Backbone, Classifier])
export type Model = typeof Model.Type

/** The model of a stage of one's own: a name, and its configuration as plain data. */
export const Custom = Schema.Struct({ name: Schema.NonEmptyString, config: Schema.Json })
export type Custom = typeof Custom.Type

/** The tag of a model. */
export type Kind = Model["_tag"]
