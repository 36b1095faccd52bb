// error: split: [1.5, 1.5] do not add up to axis 1 of [2, 3]
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.split(Tensor.zeros([2, 3]), 1, [1.5, 1.5])
