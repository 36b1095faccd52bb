// error: crossEntropyExcept: labels must be int32 [4] but are int32 [5]
import { HostTensor, Loss, Tensor } from "../../../src/shapes/index.ts"

Loss.crossEntropyExcept(Tensor.zeros([4, 3]), Tensor.constant(HostTensor.zeros([5], "int32")), 255)
