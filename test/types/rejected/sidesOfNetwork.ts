// error: Type '1' is not assignable to type '0'
// compile time only
import type * as Vit from "../../../src/nn/blocks/Vit.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"

export const turned = <B extends number, N extends Vit.Cut>(
  x: Tensor<[B, 3, N["image"][1], N["image"][0]]>
): Vit.Images<B, N> => x
