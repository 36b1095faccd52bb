// error: concat: float32 [2, 6, 4] and float32 [2, 6, 5] do not fit along axis 1
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.concat([Tensor.zeros([2, 6, 4]), Tensor.zeros([2, 6, 5])], 1)
