// error: concat: [2, 6] has no axis -3
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.concat([Tensor.zeros([2, 6]), Tensor.zeros([2, 6])], -3)
