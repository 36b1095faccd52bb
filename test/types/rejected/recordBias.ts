// error: Type '4' is not assignable to type '8'
// thrown: addBias: input axis -1 is 8 but the other operand has 4 channels
import { Linear, Tensor } from "../../../src/shapes/index.ts"

Linear.linear(Tensor.zeros([2, 4]), { weight: Tensor.zeros([8, 4]), bias: Tensor.zeros([4]) })
