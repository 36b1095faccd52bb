// error: linear: the bias is missing; use project for a weight without a bias
import { Linear, Tensor } from "../../../src/shapes/index.ts"

Linear.linear(Tensor.zeros([2, 36]), { weight: Tensor.zeros([8, 36]) })
