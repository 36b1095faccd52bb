import { Arrange, Codes, Dim, HostTensor, Reduction, Tensor } from "../../../src/shapes/index.ts"

const batch = Dim.named("batch", 2)
const x = Tensor.zeros([2, 6, 4])
const y = Tensor.zeros([batch, 6, 4])

export const parted: Tensor.Tensor<[2, 3, 2, 4]> = Arrange.reshape(x, [2, 3, 2, 4])
export const flat: Tensor.Tensor<[48]> = Arrange.reshape(x, [48])
export const rows: Tensor.Tensor<[Dim.Dim<"batch*6">, 4]> = Arrange.reshape(y, [Dim.mul(batch, 6), 4])
export const moved: Tensor.Tensor<[4, Dim.Dim<"batch">, 6]> = Arrange.reshape(y, [4, batch, 6])
export const turned: Tensor.Tensor<[4, Dim.Dim<"batch">, 6]> = Arrange.transpose(y, [2, 0, 1])
export const cut: Tensor.Tensor<[2, 6, 1]> = Arrange.slice(x, -1, 3, 1)
export const joined: Tensor.Tensor<[2, 13, 4]> = Arrange.concat([x, Arrange.slice(x, 1, 0, 1), x], 1)
export const longer: Tensor.Tensor<[Dim.Dim<"batch+batch">, 6, 4]> = Arrange.concat([y, y], 0)
export const stacked: Tensor.Tensor<[2, 6, 4, 3]> = Arrange.stack([x, x, x], -1)
export const repeated: Tensor.Tensor<[2, Dim.Dim<"batch">, 6, 4]> = Arrange.repeat(x, 1, batch)
export const largest: Tensor.Tensor<[Dim.Dim<"batch">, 4]> = Reduction.maxAlong(y, -2)
export const total: Tensor.Tensor<[]> = Reduction.sumAlong(Tensor.zeros([5]), 0)
export const hot: Tensor.Tensor<[5, 7]> = Codes.oneHot(Tensor.constant(HostTensor.zeros([5], "int32")), 7)
export const codes: Tensor.Tensor<[1, 5], "int32"> = Arrange.reshape(
  Tensor.constant(HostTensor.zeros([5], "int32")),
  [1, 5]
)

const heads = <B extends number, N extends number, H extends number, E extends number>(
  projected: Tensor.Tensor<[B, N, Dim.Mul<H, E>]>,
  [b, n, h, e]: [B, N, H, E]
): Tensor.Tensor<[B, H, N, E]> => Arrange.transpose(Arrange.reshape(projected, [b, n, h, e]), [0, 2, 1, 3])

const pooled = <B extends number, N extends number, C extends number>(
  tokens: Tensor.Tensor<[B, N, C]>,
  [b, n, c]: [B, N, C]
): Tensor.Tensor<[Dim.Mul<B, N>, C]> => Arrange.reshape(tokens, [Dim.mul(b, n), c])

const swapped = <B extends number, N extends number, M extends number, C extends number>(
  both: Tensor.Tensor<[B, Dim.Plus<N, M>, C]>,
  [n, m]: [N, M]
): Tensor.Tensor<[B, Dim.Plus<M, N>, C]> => {
  const [first, second] = Arrange.split(both, 1, [n, m])
  return Arrange.concat([second, first], 1)
}

const everywhere = <B extends number, N extends number, C extends number>(
  row: Tensor.Tensor<[B, C]>,
  n: N
): Tensor.Tensor<[B, N, C]> => Arrange.repeat(row, 1, n)

export const ofHeads: Tensor.Tensor<[2, 2, 6, 2]> = heads(x, [2, 6, 2, 2])
export const ofRows: Tensor.Tensor<[12, 4]> = pooled(x, [2, 6, 4])
export const ofParts: Tensor.Tensor<[2, 6, 4]> = swapped(x, [2, 4])
export const ofRow: Tensor.Tensor<[2, 3, 6]> = everywhere(Tensor.zeros([2, 6]), 3)

const begun = <N extends number, C extends number>(
  tokens: Tensor.Tensor<[6, C]>,
  n: N
): Tensor.Tensor<[N, C]> => Arrange.slice(tokens, 0, 0, n)

const counted = <M extends number, K extends number>(
  labels: Tensor.Tensor<[M], "int32">,
  k: K
): Tensor.Tensor<[M, K]> => Codes.oneHot(labels, k)

export const ofStart: Tensor.Tensor<[3, 4]> = begun(Tensor.zeros([6, 4]), 3)
export const ofLabels: Tensor.Tensor<[5, 3]> = counted(Tensor.constant(HostTensor.zeros([5], "int32")), 3)
