// error: Type '"hidden"' is not assignable to type '"width"'
// compile time only
import type * as BlockParams from "../../../src/nn/blocks/BlockParams.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"

export const same = <N extends BlockParams.Sizes>(x: Tensor<[N["hidden"]]>): Tensor<[N["width"]]> => x
