// error: Argument of type 'Float32Array<ArrayBuffer>' is not assignable to parameter of type 'Int32Array<ArrayBufferLike>'
// compile time only
import { HostTensor } from "../../../src/shapes/index.ts"

HostTensor.make([2], "int32", new Float32Array(2))
