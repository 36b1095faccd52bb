// error: split: [2, 3] do not add up to axis 1 of [2, 6, 4]
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.split(Tensor.zeros([2, 6, 4]), 1, [2, 3])
