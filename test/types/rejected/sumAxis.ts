// error: sumAlong: [2, 6] has no axis 2
import { Reduction, Tensor } from "../../../src/shapes/index.ts"

Reduction.sumAlong(Tensor.zeros([2, 6]), 2)
