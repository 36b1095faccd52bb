// error: reshape: [batch, 6, 4] has batch*6*4 elements but [batch, 25] has batch*25
// thrown: reshape: [2, 6, 4] has 48 elements but [2, 25] has 50
import { Arrange, Dim, Tensor } from "../../../src/shapes/index.ts"

const batch = Dim.named("batch", 2)
Arrange.reshape(Tensor.zeros([batch, 6, 4]), [batch, 25])
