// error: where: operands must be float32 but are int32 and int32
import { Elementwise, HostTensor, Tensor } from "../../../src/shapes/index.ts"

const codes = Tensor.constant(HostTensor.zeros([2, 3], "int32"))
Elementwise.where(Tensor.constant(HostTensor.zeros([2, 3], "bool")), codes, codes)
