// error: image: 40 is not divisible by 16
import * as Vit from "../../../src/nn/blocks/Vit.ts"

Vit.dims({ image: [32, 40], patch: 16, width: 32, heads: 2 })
