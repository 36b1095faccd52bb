// error: Type '"hidden"' is not assignable to type '"width"'
// compile time only
import type * as Block from "../../../src/nn/blocks/Block.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"

export const same = <N extends Block.Sizes>(x: Tensor<[N["hidden"]]>): Tensor<[N["width"]]> => x
