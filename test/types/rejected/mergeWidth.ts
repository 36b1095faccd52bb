// error: mergeHeads: 12 heads of 64 channels do not make 512
import { Attention, Tensor } from "../../../src/shapes/index.ts"

Attention.mergeHeads(Tensor.zeros([2, 12, 5, 64]), 512)
