// error: addToSamples: samples are [197, 8] but [1, 196, 8] is added
import { Elementwise, Tensor } from "../../../src/shapes/index.ts"

Elementwise.addToSamples(Tensor.zeros([2, 197, 8]), Tensor.zeros([1, 196, 8]))
