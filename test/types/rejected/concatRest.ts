// error: concat: float32 [2, 3] and float32 [2, 4] do not fit along axis 0
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.zeros([2, 3])
Arrange.concat([x, x, Tensor.zeros([2, 4])], 0)
