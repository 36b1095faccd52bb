// error: maximum: left is [2, 6] but right is [6]
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.maximum(Tensor.zeros([2, 6]), Tensor.zeros([6]))
