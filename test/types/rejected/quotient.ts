// error: 768 is not divisible by 7
import { Dim, Tensor } from "../../../src/shapes/index.ts"

Tensor.zeros([2, 7, 197, Dim.div(768, 7)])
