// error: patchTokens: 197 patches and the class token are not 197 tokens
import { Tensor, Tokens } from "../../../src/shapes/index.ts"

Tokens.patchTokens(Tensor.zeros([2, 197, 8]), 197)
