// error: l2Normalize: x must be float32 but is int32
import { HostTensor, Normalization, Tensor } from "../../../src/shapes/index.ts"

const x = Tensor.constant(HostTensor.zeros([2, 3, 4], "int32"))
Normalization.l2Normalize(x)
