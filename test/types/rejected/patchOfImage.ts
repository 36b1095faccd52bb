// error: image: 224 is not divisible by 15
import * as Vit from "../../../src/nn/blocks/Vit.ts"

Vit.dims({ image: 224, patch: 15, width: 768, heads: 12 })
