// error: where: the condition is [2] but the operands are [2] and [3]
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.where(Elementwise.isBelow(Tensor.zeros([2]), 1), Tensor.zeros([2]), Tensor.zeros([3]))
