// error: Type '5' is not assignable to type '4'
// compile time only
import { Arrange, Tensor } from "../../../src/shapes/index.ts"

const part: Tensor.Tensor<[2, 4]> = Arrange.slice(Tensor.zeros([2, 6]), -1, 0, 5)
export default part
