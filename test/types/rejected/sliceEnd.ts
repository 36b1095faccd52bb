// error: slice: 3 from 4 on are not within axis 1 of [2, 6, 4]
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.slice(Tensor.zeros([2, 6, 4]), 1, 4, 3)
