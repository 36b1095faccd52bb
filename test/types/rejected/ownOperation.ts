// error: gated: input axis -1 is 768 but the layer is for 512 channels
import { gated } from "../../../examples/gatedLinear.ts"
import { Tensor } from "../../../src/shapes/index.ts"

const weight = Tensor.zeros([4, 512])
gated(Tensor.zeros([2, 768]), { gate: weight, value: weight, out: Tensor.zeros([512, 4]) })
