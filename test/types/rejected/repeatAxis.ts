// error: repeat: [2, 6] has no axis 3
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.repeat(Tensor.zeros([2, 6]), 3, 4)
