// error: crossEntropy: labels must be int32 [8] but are int32 [7]
import { HostTensor, Loss, Tensor } from "../../../src/shapes/index.ts"

Loss.crossEntropy(Tensor.zeros([8, 10]), Tensor.constant(HostTensor.zeros([7], "int32")))
