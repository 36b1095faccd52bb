import { finish } from "../../../src/domain/values/Pausable.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"

export const digestOf = (tensors: Weights.Tensors): string => finish(Weights.digesting(tensors))
