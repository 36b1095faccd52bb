import { AdamW } from "../../../src/nn/index.ts"
import { HostTensor } from "../../../src/shapes/index.ts"

const weight = HostTensor.zeros([2], "float32")
const state: AdamW.State<{ weight: HostTensor.HostTensor<[2]> }> = {
  parameters: { weight },
  first: { weight },
  second: { weight }
}
const buffered = { ...state, codebook: weight }

export const again: typeof state = AdamW.join(AdamW.split(state))
export const withBuffer: typeof buffered = AdamW.join(AdamW.split(buffered))
export const weights: { parameters: typeof state.parameters; codebook: typeof weight } = AdamW.split(buffered).weights
