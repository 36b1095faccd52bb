// error: slice: [2, 6, 4] has no axis 3
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.slice(Tensor.zeros([2, 6, 4]), 3, 0, 1)
