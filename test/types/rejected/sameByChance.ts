// error: mul: left is [batch, width] but right is [tokens, width]
// compile time only
import { Dim, Elementwise, Tensor } from "../../../src/shapes/index.ts"

const batch = Dim.named("batch", 4)
const tokens = Dim.named("tokens", 4)
const width = Dim.named("width", 4)
Elementwise.mul(Tensor.zeros([batch, width]), Tensor.zeros([tokens, width]))
