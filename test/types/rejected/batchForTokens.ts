// error: add: left is [batch, tokens, width] but right is [tokens, batch, width]
// thrown: add: left is [2, 3, 4] but right is [3, 2, 4]
import { Dim, Elementwise, Tensor } from "../../../src/shapes/index.ts"

const batch = Dim.named("batch", 2)
const tokens = Dim.named("tokens", 3)
const width = Dim.named("width", 4)
Elementwise.add(Tensor.zeros([batch, tokens, width]), Tensor.zeros([tokens, batch, width]))
