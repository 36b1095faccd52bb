// error: stack: float32 [2, 6] and float32 [2, 5] differ
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.stack([Tensor.zeros([2, 6]), Tensor.zeros([2, 6]), Tensor.zeros([2, 5])], 0)
