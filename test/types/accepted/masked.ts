import { Dim, HostTensor, Linear, Loss, Tensor, Tokens } from "../../../src/shapes/index.ts"

const maskedLoss = <B extends number, N extends number, C extends number, K extends number, M extends number>(
  x: Tensor.Tensor<[B, N, C]>,
  mask: Tensor.Tensor<[B, N], "bool">,
  token: Tensor.Tensor<[1, 1, C]>,
  head: Linear.LinearParams<C, K>,
  rows: Tensor.Tensor<[M], "int32">,
  labels: Tensor.Tensor<[M], "int32">
): Tensor.Tensor<[]> => {
  const replaced = Tokens.replaceMasked(x, mask, token)
  return Loss.crossEntropy(Linear.linear(Tokens.selectRows(replaced, rows), head), labels, 0.1)
}

const batch = Dim.named("batch", 2)
const masked = Dim.named("masked", 6)
const rows = Tensor.constant(HostTensor.zeros([masked], "int32"))
export const loss: Tensor.Tensor<[]> = maskedLoss(
  Tensor.zeros([batch, 9, 4]),
  Tensor.constant(HostTensor.zeros([batch, 9], "bool")),
  Tensor.zeros([1, 1, 4]),
  { weight: Tensor.zeros([16, 4]), bias: Tensor.zeros([16]) },
  rows,
  rows
)
