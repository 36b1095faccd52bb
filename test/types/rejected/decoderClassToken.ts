// error: Type '197' is not assignable to type '196'
// thrown: addToSamples: [1, 197, 8] is needed but [1, 196, 8] is added
import { Elementwise, Tensor, Tokens } from "../../../src/shapes/index.ts"

const decode = <B extends number>(tokens: Tensor.Tensor<[B, 196, 8]>) =>
  Elementwise.addToSamples(tokens, Tensor.zeros([1, 196, 8]))
const patches = Tensor.zeros([2, 196, 8])
decode(Tokens.prepend(Tensor.zeros([2, 1, 8]), patches))
