// error: layerNorm: input axis -1 is 768 but the parameters are for 512 channels
import { Normalization, Tensor } from "../../../src/shapes/index.ts"

Normalization.layerNorm(Tensor.zeros([2, 768]), { weight: Tensor.zeros([512]), bias: Tensor.zeros([512]) }, 1e-6)
