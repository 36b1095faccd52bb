// error: lookup: codes must be int32 but are float32
import { Codes, Tensor } from "../../../src/shapes/index.ts"

Codes.lookup(Tensor.zeros([8192, 32]), Tensor.zeros([2, 196]))
