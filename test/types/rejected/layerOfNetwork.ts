// error: layerNorm: input axis -1 is ${Show<N["hidden"]>} but the parameters are for ${Show<N["width"]>} channels
// compile time only
import type * as BlockParams from "../../../src/nn/blocks/BlockParams.ts"
import * as Normalization from "../../../src/shapes/Normalization.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"

export const normed = <N extends BlockParams.Sizes>(
  { norm1 }: BlockParams.BlockParams<N>,
  x: Tensor<[5, N["hidden"]]>
) => Normalization.layerNorm(x, norm1, 1e-6)
