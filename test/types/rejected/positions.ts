// error: addToSamples: [1, 197, 8] is needed but [1, 196, 8] is added
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.addToSamples(Tensor.zeros([2, 197, 8]), Tensor.zeros([1, 196, 8]))
