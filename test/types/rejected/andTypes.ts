// error: and: operands must be bool but are float32 and float32
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.and(Tensor.zeros([2, 3]), Tensor.zeros([2, 3]))
