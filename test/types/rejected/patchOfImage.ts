// error: 224 is not divisible by 15
import { Dim, Tensor } from "../../../src/shapes/index.ts"

Tensor.zeros([2, Dim.div(224, 15), 8])
