import * as Laws from "../../src/laws/index.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as Normalization from "../../src/shapes/Normalization.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { refuses } from "./kit.ts"

type Values = Tensor<[number, number]>

const open = (codebook: Values, vectors: Values) => {
  const unit = Normalization.l2Normalize(vectors)
  const codes = Codes.nearest(unit, codebook)
  const chosen = Codes.lookup(codebook, codes)
  const commitment = Reduction.mean(Elementwise.square(Elementwise.sub(chosen, unit)))
  return { codes, z_q: chosen, commitment }
}

const changed = (change: (commitment: Tensor<[]>) => Tensor<[]>) => (codebook: Values, vectors: Values) => {
  const { codes, commitment } = MovingAverage.quantize(codebook, vectors)
  return { codes, commitment: change(commitment) }
}

refuses("what is passed straight through", Laws.straightThrough, MovingAverage.quantize, {
  "passes the gradient straight through": {
    mutant: open,
    said: /number \d+ of the gradient of the vectors is 0 but must be about -?0\.\d+/
  },
  "passes no gradient of the quantized vectors to the codebook": {
    mutant: open,
    said: /a gradient of -?\d\S* reaches the codebook\nexample: \{"search":\{"codes":/
  }
})

refuses("a commitment", Laws.commitment, MovingAverage.quantize, {
  "is the mean squared distance between vectors and their codes": {
    mutant: changed((commitment) => Elementwise.scale(commitment, 2)),
    said: /number 0 of the commitment is \d\S* but must be about \d/
  },
  "pulls vectors to their codes": {
    mutant: changed(Elementwise.stopGradient),
    said: /of the gradient of the vectors is 0 but must be about/
  },
  "pulls no codes to their vectors": {
    mutant: open,
    said: /reaches the codebook/
  }
})
