/** The settings that all evaluations of frozen features share. */
import { Schema } from "effect"
import { Pooling } from "./VitConfig.ts"

/** The fields that all evaluations of frozen features share. */
export const fields = {
  /** The features: the mean of the patch tokens or the class token, of the last block. */
  pooling: Pooling.annotateKey({
    description: "Feature of an image: the mean of its patch tokens, or the class token."
  }),
  /** True if the pretrained final layer norm is applied to the tokens before pooling. */
  finalNorm: Schema.Boolean.annotateKey({
    description: "True if the pretrained final layer norm is applied before pooling."
  })
}
