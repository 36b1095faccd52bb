// error: split: [7, -1] do not add up to axis 1 of [2, 6]
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.split(Tensor.zeros([2, 6]), 1, [7, -1])
