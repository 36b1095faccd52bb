// error: softCrossEntropy: left is [8, 10] but right is [8, 11]
import { Loss, Tensor } from "../../../src/shapes/index.ts"

Loss.softCrossEntropy(Tensor.zeros([8, 10]), Tensor.zeros([8, 11]))
