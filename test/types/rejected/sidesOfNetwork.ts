// error: Type '1' is not assignable to type '0'
// compile time only
import type * as PatchGrid from "../../../src/nn/blocks/PatchGrid.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"

export const turned = <B extends number, N extends PatchGrid.Sizes>(
  x: Tensor<[B, 3, N["image"][1], N["image"][0]]>
): PatchGrid.Images<B, N> => x
