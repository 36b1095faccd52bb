// error: ofTokens: 11 tokens do not fill 3 rows of 4
import { FeatureMap, Tensor } from "../../../src/shapes/index.ts"

FeatureMap.ofTokens(Tensor.zeros([2, 11, 8]), 3, 4)
