// error: scaleSamples: 5 factors for 2 samples
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.scaleSamples(Tensor.zeros([2, 5, 4]), Tensor.zeros([5]))
