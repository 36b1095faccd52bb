// error: reshape: -1 is not a size
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.reshape(Tensor.zeros([2, 3]), [-1, 3])
