// error: transpose: [1, 0] does not name each axis of [2, 6, 4] once
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

Arrange.transpose(Tensor.zeros([2, 6, 4]), [1, 0])
