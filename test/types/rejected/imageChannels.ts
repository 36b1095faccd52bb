// error: patchEmbed: images are [2, 1, 8, 8] but the weight expects [B, 3, H, W]
import { Tensor, Tokens } from "../../../src/shapes/index.ts"

Tokens.patchEmbed(Tensor.zeros([2, 1, 8, 8]), { weight: Tensor.zeros([5, 3, 4, 4]), bias: Tensor.zeros([5]) })
