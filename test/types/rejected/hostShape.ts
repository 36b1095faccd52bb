// error: Type '5' is not assignable to type '6'
// compile time only
import { HostTensor } from "../../../src/shapes/index.ts"

export const six: HostTensor.HostTensor<[number, 6]> = HostTensor.zeros([2, 5], "float32")
