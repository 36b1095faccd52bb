// error: minAlong: a plain number is not an axis: write a literal
// thrown: minAlong: [2, 3] has no axis 2
import { Reduction, Tensor } from "../../../src/shapes/index.ts"

const axis: number = 2
Reduction.minAlong(Tensor.zeros([2, 3]), axis)
