// error: slice: axis 1 of [2, 6, 4] does not have 3 elements from 4 on
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.slice(Tensor.zeros([2, 6, 4]), 1, 4, 3)
