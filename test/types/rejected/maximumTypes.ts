// error: maximum: operands must be float32 but are float32 and int32
import { Elementwise, HostTensor, Tensor } from "../../../src/shapes/index.ts"

Elementwise.maximum(Tensor.zeros([2, 3]), Tensor.constant(HostTensor.zeros([2, 3], "int32")))
