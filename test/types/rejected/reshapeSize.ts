// error: reshape: [2, 6, 4] has 48 elements but [2, 5, 4] has 40
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.reshape(Tensor.zeros([2, 6, 4]), [2, 5, 4])
