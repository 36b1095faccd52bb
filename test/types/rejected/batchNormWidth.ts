// error: train: input axis -1 is 3 but the parameters are for 4 channels
import { BatchNorm, Tensor } from "../../../src/shapes/index.ts"

BatchNorm.train(Tensor.zeros([2, 4, 4, 3]), { weight: Tensor.zeros([4]), bias: Tensor.zeros([4]) }, 1e-5)
