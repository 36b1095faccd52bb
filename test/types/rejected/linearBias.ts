// error: linear: the bias is left out; project is for a weight without one
import { Linear, Tensor } from "../../../src/shapes/index.ts"

Linear.linear(Tensor.zeros([2, 36]), { weight: Tensor.zeros([8, 36]) })
