// error: a plain number is not a dimension: write a literal, or name it with Dim.named
// compile time only
import { FeatureMap, Tensor } from "../../../src/shapes/index.ts"

const side: number = 8
FeatureMap.resize(Tensor.zeros([2, 4, 4, 3]), side, 8)
