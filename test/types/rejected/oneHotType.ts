// error: oneHot: codes must be int32 but are float32
import { Codes, Tensor } from "../../../src/shapes/index.ts"

Codes.oneHot(Tensor.zeros([2]), 3)
