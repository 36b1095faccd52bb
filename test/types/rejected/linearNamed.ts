// error: linear: input axis -1 is width but the weight expects hidden
// thrown: linear: input axis -1 is 6 but the weight expects 9
import { Dim, Linear, Tensor } from "../../../src/shapes/index.ts"

const batch = Dim.named("batch", 2)
const width = Dim.named("width", 6)
const hidden = Dim.named("hidden", 9)
Linear.project(Tensor.zeros([batch, 5, width]), Tensor.zeros([width, hidden]))
