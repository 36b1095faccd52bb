import * as Laws from "../../src/laws/index.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tensor from "../../src/shapes/Tensor.ts"
import { refuses } from "./kit.ts"

type Values = Tensor.Tensor<[number, number]>

const choosing =
  (choose: (vectors: Values, codebook: Values) => Tensor.Tensor<[number], "int32">): Laws.Lookup =>
  (codebook, vectors) => {
    const codes = choose(vectors, codebook)
    return { codes, z_q: Codes.lookup(codebook, codes) }
  }

const farthest = choosing((vectors, codebook) => Codes.nearest(Elementwise.scale(vectors, -1), codebook))

const shifted = choosing((vectors, codebook) => Codes.nearest(Elementwise.shift(vectors, 1), codebook))

const first = choosing((vectors, codebook) => Codes.nearest(Elementwise.scale(vectors, 0), codebook))

const last = choosing((vectors, codebook) => {
  const [size] = codebook.shape
  const order = Tensor.constant(
    HostTensor.make([size], "int32", Int32Array.from({ length: size }, (_, at) => size - 1 - at))
  )
  const code = Elementwise.toFloat(Codes.nearest(vectors, Codes.lookup(codebook, order)))
  return Codes.fromFloat(Elementwise.shift(Elementwise.scale(code, -1), size - 1))
})

refuses("a lookup", Laws.lookup, MovingAverage.quantize, {
  "gives every vector the nearest code on the unit sphere": {
    mutant: farthest,
    said:
      /vector 0 \[.*\] got code 1 \[.*\] with the cosine -1.0000, but that of code 0 \[.*\] is 1.0000\nexample: \{"codes":\[\[/
  },
  "ignores the lengths of vectors": {
    mutant: shifted,
    said: /vector 0 \[.*\] got code \d \[.*\] with the cosine/
  },
  "ignores the order of codes": {
    mutant: first,
    said: /vector 0 \[.*\] got code 0 .*"order":\[\d(?:,\d)*\]/s
  },
  "takes the first of equal codes": {
    mutant: last,
    said: /vector 0 got code 1, but code 0 is the same and comes first/
  },
  "finds every code for itself, at any length": {
    mutant: farthest,
    said: /vector 0 \[.*\] got code 1/
  },
  "returns the values of the codes": {
    mutant: (codebook, vectors) => {
      const { codes, z_q } = MovingAverage.quantize(codebook, vectors)
      return { codes, z_q: Elementwise.scale(z_q, 1.5) }
    },
    said: /number \d of the value of code 0 at vector 0 is -?1.5 but must be about -?1\n/
  }
})
