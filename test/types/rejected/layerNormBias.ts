// error: layerNorm: the bias is missing
import { Normalization, Tensor } from "../../../src/shapes/index.ts"

Normalization.layerNorm(Tensor.zeros([2, 36]), { weight: Tensor.zeros([36]) }, 1e-6)
