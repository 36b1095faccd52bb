// error: concat: float32 [2] and int32 [3] do not fit along axis 0
import { Arrange, HostTensor, Tensor } from "../../../src/shapes/index.ts"

Arrange.concat([Tensor.zeros([2]), Tensor.constant(HostTensor.zeros([3], "int32"))], 0)
