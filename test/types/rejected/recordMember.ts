// error: Property 'bias' is missing in type
// compile time only
import { Linear, Tensor } from "../../../src/shapes/index.ts"

Linear.linear(Tensor.zeros([2, 4]), { weight: Tensor.zeros([8, 4]) })
