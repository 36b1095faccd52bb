/** The settings that every evaluation of frozen features has. */
import { Schema } from "effect"
import { Pooling } from "./VitConfig.ts"

/** The fields that every evaluation of frozen features has. */
export const fields = {
  /** Mean of the patch tokens, or class token, of the last block. */
  pooling: Pooling.annotateKey({
    description: "Feature of an image: the mean of its patch tokens, or the class token."
  }),
  /** Whether the pretrained final layer norm is applied to the tokens before pooling. */
  finalNorm: Schema.Boolean.annotateKey({
    description: "Whether the pretrained last layer norm is applied before pooling."
  })
}
