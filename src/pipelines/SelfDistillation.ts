/**
 * Self-distillation: an earlier network of patchword is the teacher of the next tokenizer.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Layer } from "effect"
 * import { Presets } from "patchword/domain"
 * import { Engine, Teacher } from "patchword/layers"
 * import { Backbone, SelfDistillation } from "patchword/pipelines"
 *
 * const backbone = Backbone.untrained(Presets.tiny.pretrain, 512)
 * const teacher = SelfDistillation.layerBackbone(backbone).pipe(Layer.provide(Engine.layerReference))
 * const width = Teacher.Teacher.useSync((made) => made.width)
 * assert.strictEqual(await Effect.runPromise(Effect.provide(width, teacher)), backbone.config.vit.width)
 * ```
 */
import { Effect, Layer } from "effect"
import { PretrainConfig } from "../domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import * as Json from "../domain/values/Json.ts"
import * as Engine from "../layers/engine/Engine.ts"
import * as Files from "../layers/files/Files.ts"
import * as Teacher from "../layers/teacher/Teacher.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as VitInference from "../nn/blocks/VitInference.ts"
import * as PretrainStep from "../nn/pretrain/PretrainStep.ts"
import * as TokenizerStep from "../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../shapes/Dim.ts"
import * as Backbone from "./trained/Backbone.ts"
import * as Inference from "./trained/Inference.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as Stage from "./training/Stage.ts"

const layerOf = (
  name: "backbone" | "tokenizer",
  network: Omit<Teacher.Network, "digest">,
  config: Json.Json,
  tensors: Weights.Tensors
) =>
  Layer.unwrap(
    Effect.map(Weights.digest(tensors), (digest) =>
      Teacher.layerNetwork(name, { ...network, digest: Files.sha256(`${Json.canonical(config)} ${digest}`) }))
  )

/**
 * Makes a teacher from a pretrained network: the patch tokens of its last block, after its norm. Images must have the size that
 * it was pretrained on.
 */
export const layerBackbone = (
  backbone: Backbone.Backbone
): Layer.Layer<Teacher.Teacher, Teacher.TeacherError, Engine.Engine> => {
  const { config: { augment, vit }, tensors } = backbone
  const network: Omit<Teacher.Network, "digest"> = {
    patch: vit.patchSize,
    side: vit.imageSize,
    width: vit.width,
    channels: augment,
    open: Effect.fnUntraced(function*({ size }) {
      const inference = VitInference.patchFeatures(
        PretrainStep.model(Backbone.sizes(backbone.config, backbone.codes)),
        Dim.named("images", size)
      )
      return yield* Teacher.open(
        inference,
        yield* Inference.loadWeights(inference, Backbone.weights(backbone)),
        ({ target }) => target.data
      )
    })
  }
  return layerOf("backbone", network, Stage.toJson(PretrainConfig, backbone.config), tensors)
}

/**
 * Makes a teacher from an earlier tokenizer: the patch tokens of its encoder. Images must have the size that it was trained on.
 */
export const layerTokenizer = (
  tokenizer: Tokenizer.Tokenizer
): Layer.Layer<Teacher.Teacher, Teacher.TeacherError, Engine.Engine> => {
  const { config: { encoder }, tensors } = tokenizer
  const network: Omit<Teacher.Network, "digest"> = {
    patch: encoder.patchSize,
    side: encoder.imageSize,
    width: encoder.width,
    channels: { mean: [0, 0, 0], std: [1, 1, 1] },
    open: Effect.fnUntraced(function*({ size }) {
      const inference = TokenizerStep.patchFeatures(
        Tokenizer.sizes(tokenizer.config, tokenizer.teacherWidth),
        Dim.named("images", size)
      )
      return yield* Teacher.open(
        inference,
        yield* Inference.loadWeights(inference, Tokenizer.weights(tokenizer)),
        ({ target }) => target.data
      )
    })
  }
  return layerOf("tokenizer", network, Stage.toJson(TokenizerConfig, tokenizer.config), tensors)
}
