/** The names that TensorFlow's operators give to their results. Only the nodes of functions call results by these names. */

/** Operators with one result, by its name. */
const SINGLE: Readonly<Record<string, string>> = {
  activations: "Elu Relu Softplus",
  backprops: "ReluGrad",
  logsoftmax: "LogSoftmax",
  out: "Cumsum",
  output:
    "All Any ArgMax ArgMin BatchMatMulV2 BiasAdd BiasAddGrad Bitcast BroadcastTo CheckNumerics ClipByValue ConcatV2 Const Einsum "
    + "EnsureShape ExpandDims Fill GatherNd GatherV2 Identity L2Loss Max Mean Min OneHot Pack Pad PadV2 Prod Range Reshape "
    + "ReverseV2 SelectV2 Slice Snapshot Squeeze StopGradient StridedSlice Sum TensorScatterAdd TensorScatterUpdate Tile "
    + "UnsortedSegmentSum",
  product: "MatMul",
  softmax: "Softmax",
  sum: "AddN",
  value: "ReadVariableOp",
  y: "Abs Cast Ceil Cos DeepCopy Erf Erfc Exp Expm1 Floor IsFinite IsInf IsNan Log Log1p LogicalNot Neg Reciprocal Round "
    + "Rsqrt Sigmoid Sign Sin Sqrt Square Tan Tanh Transpose ZerosLike",
  z: "AddV2 DivNoNan Equal FloorDiv FloorMod Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr Maximum Minimum Mul "
    + "MulNoNan NotEqual Pow RealDiv RsqrtGrad SigmoidGrad SquaredDifference Sub TanhGrad"
}

/** Operators with a list of results under one name. */
const LISTS: Readonly<Record<string, string>> = { Split: "output", SplitV: "output", Unpack: "output" }

/** Operators with several results, each under a name of its own. */
const SEVERAL: Readonly<Record<string, ReadonlyArray<string>>> = {
  FusedBatchNormGradV3: ["x_backprop", "scale_backprop", "offset_backprop", "reserve_space_4", "reserve_space_5"],
  FusedBatchNormV3: ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"],
  SoftmaxCrossEntropyWithLogits: ["loss", "backprop"],
  SparseSoftmaxCrossEntropyWithLogits: ["loss", "backprop"],
  TopKV2: ["values", "indices"]
}

/** The names of results by operator: a list, or the one name that a list of results shares. */
export const all: ReadonlyMap<string, string | ReadonlyArray<string>> = new Map<string, string | ReadonlyArray<string>>(
  [
    ...Object.entries(SINGLE).flatMap(([name, operations]) =>
      operations.split(" ").map((operation) => [operation, [name]] as const)
    ),
    ...Object.entries(LISTS),
    ...Object.entries(SEVERAL)
  ]
)

/**
 * Returns the name of an operator's result in functions: `product:0` for the only result of `MatMul`.
 *
 * @throws Error when the operator is not listed here, or has no such result.
 */
export const of = (operation: string, result: number): string => {
  const names = all.get(operation)
  if (typeof names === "string") return `${names}:${result}`
  const name = names?.[result]
  if (name === undefined) throw new Error(`result ${result} of TensorFlow's ${operation} has no name in ResultNames`)
  return `${name}:0`
}
