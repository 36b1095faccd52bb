// error: crossEntropy: labels must be int32 [masked] but are int32 [batch]
// thrown: crossEntropy: labels must be int32 [6] but are int32 [2]
import { Dim, HostTensor, Loss, Tensor, Tokens } from "../../../src/shapes/index.ts"

const batch = Dim.named("batch", 2)
const masked = Dim.named("masked", 6)
const rows = Tensor.constant(HostTensor.zeros([masked], "int32"))
const logits = Tokens.selectRows(Tensor.zeros([batch, 9, 5]), rows)
Loss.crossEntropy(logits, Tensor.constant(HostTensor.zeros([batch], "int32")))
