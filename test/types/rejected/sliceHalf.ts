// error: slice: axis 1 of [2, 6] does not have 1 elements from 0.5 on
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.slice(Tensor.zeros([2, 6]), 1, 0.5, 1)
