// error: nearest: vectors have 32 channels but the codebook has 64
import { Codes, Tensor } from "../../../src/shapes/index.ts"

Codes.nearest(Tensor.zeros([5, 32]), Tensor.zeros([8, 64]))
