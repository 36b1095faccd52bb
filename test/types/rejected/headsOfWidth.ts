// error: heads: 768 is not divisible by 7
import * as Vit from "../../../src/nn/blocks/Vit.ts"

Vit.dims({ image: 224, patch: 16, width: 768, heads: 7 })
