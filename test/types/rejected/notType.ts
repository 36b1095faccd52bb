// error: not: x must be bool but is float32
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.not(Tensor.zeros([2, 3]))
