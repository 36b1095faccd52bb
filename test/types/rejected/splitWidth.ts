// error: splitHeads: input axis -1 is 2304 but three times the width is 1536
import { Attention, Tensor } from "../../../src/shapes/index.ts"

Attention.splitHeads(Tensor.zeros([2, 5, 2304]), 512, 8)
