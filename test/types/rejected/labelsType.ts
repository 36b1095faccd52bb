// error: crossEntropy: labels must be int32 [8] but are float32 [8]
import { Loss, Tensor } from "../../../src/shapes/index.ts"

Loss.crossEntropy(Tensor.zeros([8, 10]), Tensor.zeros([8]))
