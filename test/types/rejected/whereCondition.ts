// error: where: condition must be bool but is float32
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.zeros([2, 3])
Elementwise.where(x, x, x)
