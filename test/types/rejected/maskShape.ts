// error: replaceMasked: the mask must be bool [2, 196] but is bool [2, 197]
import { HostTensor, Tensor, Tokens } from "../../../src/shapes/index.ts"

const mask = Tensor.constant(HostTensor.zeros([2, 197], "bool"))
Tokens.replaceMasked(Tensor.zeros([2, 196, 8]), mask, Tensor.zeros([1, 1, 8]))
