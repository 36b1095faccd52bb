// error: replaceMasked: the mask must be bool [2, 196] but is float32 [2, 196]
import { Tensor, Tokens } from "../../../src/shapes/index.ts"

Tokens.replaceMasked(Tensor.zeros([2, 196, 8]), Tensor.zeros([2, 196]), Tensor.zeros([1, 1, 8]))
