// error: convolve: the map is [2, 4, 4, 3] but the weight expects [B, H, W, 5]
import { FeatureMap, Tensor } from "../../../src/shapes/index.ts"

FeatureMap.convolve(Tensor.zeros([2, 4, 4, 3]), Tensor.zeros([7, 5, 3, 3]))
