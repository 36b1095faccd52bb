import * as Laws from "../../src/laws/index.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as Linear from "../../src/shapes/Linear.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { refuses } from "./kit.ts"

interface Weights {
  readonly weight: Tensor<[number, 3]>
}

interface Batch {
  readonly x: Tensor<[number, 3]>
}

type Lines = (batch: number) => Inference<Weights, Batch, { readonly y: Tensor<[number, number]> }>

const lines =
  (run: (weight: Tensor<[number, 3]>, x: Tensor<[number, 3]>) => Tensor<[number, number]>): Lines => (batch) => ({
    name: "lines",
    weights: { weight: { shape: [2, 3], dtype: "float32" } },
    batch: { x: { shape: [batch, 3], dtype: "float32" } },
    run: ({ weight }, { x }) => ({ y: run(weight, x) })
  })

let draws = 0

const dropping = (y: Tensor<[number, number]>) => Elementwise.scale(y, draws++ % 3 === 0 ? 0 : 1.5)

const right = lines((weight, x) => Linear.project(x, weight))

refuses("a network", (of: Lines) => Laws.network(of), right, {
  "gives every sample outputs of the same shape at any batch size": {
    mutant: lines((weight, x) => Linear.matMulTransposed(Linear.project(x, weight), Linear.project(x, weight))),
    said: /the shape of the output y is \[2,2\] but must be \[2,1\]\nexample: \{"batch":2,"seed":0\}/
  },
  "gives a sample the same outputs in any batch": [
    {
      mutant: lines((weight, x) => Elementwise.shiftBy(Linear.project(x, weight), Reduction.sum(x))),
      said: /number 0 of the output y of sample 0 among 2 is -?\d\S* but must be about -?\d/
    },
    {
      mutant: lines((weight, x) => dropping(Linear.project(x, weight))),
      said: /number \d of the output y of sample \d among \d is -?\d\S* but must be about -?\d/
    }
  ],
  "gives different samples different outputs": {
    mutant: lines((weight, x) => Linear.project(Elementwise.scale(x, 0), weight)),
    said: /two samples have the same outputs: none depends on the inputs\nexample: \{"batch":2,"seed":0\}/
  },
  "has gradients of its weights that agree with finite differences": {
    mutant: lines((weight, x) => Linear.project(x, Elementwise.stopGradient(weight))),
    said: /number 0 of the slope along weight is 0 but must be about -?\d/
  }
})
