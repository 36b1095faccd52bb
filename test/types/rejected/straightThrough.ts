// error: straightThrough: left is [6, 32] but right is [6, 64]
import { Codes, Tensor } from "../../../src/shapes/index.ts"

Codes.straightThrough(Tensor.zeros([6, 32]), Tensor.zeros([6, 64]))
