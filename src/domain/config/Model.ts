/**
 * A record beside weights that says which network they belong to. It is enough to build that network again.
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

/** A tokenizer that learned from features of some width. */
export const Tokenizer = Schema.TaggedStruct("Tokenizer", { config: TokenizerConfig, teacherWidth: Quantity.Count })

/** A network that predicts some number of codes. */
export const Backbone = Schema.TaggedStruct("Backbone", { config: PretrainConfig, codes: Quantity.Count })

/** A classifier and the names of its classes. */
export const Classifier = Schema.TaggedStruct("Classifier", {
  config: FinetuneConfig,
  classes: Schema.Array(Schema.String).check(Schema.isMinLength(1))
})

/** Any of the three. */
export const Model = Schema.Union([Tokenizer, Backbone, Classifier])
export type Model = typeof Model.Type

/** What a stage of somebody else trained: a name of its own, and its configuration as plain data. */
export const Custom = Schema.Struct({ name: Schema.NonEmptyString, config: Schema.Json })
export type Custom = typeof Custom.Type

/** Which of them. */
export type Kind = Model["_tag"]
