// error: addBias: input axis -1 is 4 but the other operand has 5 channels
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.addBias(Tensor.zeros([2, 4]), Tensor.zeros([5]))
