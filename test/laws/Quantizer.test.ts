import * as ScalarLevels from "../../src/domain/method/ScalarLevels.ts"
import * as Laws from "../../src/laws/index.ts"
import * as FiniteScalar from "../../src/nn/tokenizer/FiniteScalar.ts"
import * as LearnedCodes from "../../src/nn/tokenizer/LearnedCodes.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import type * as Quantizer from "../../src/nn/tokenizer/Quantizer.ts"
import * as TableRows from "../../src/nn/tokenizer/Rows.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { holds, refuses } from "./kit.ts"

type Value = Quantizer.Quantizer<7, 3, MovingAverage.Parts<7, 3>>

const value: Value = MovingAverage.make({ codes: 7, codeWidth: 3, decay: 0.9, kmeans: false, revival: null })

const learned = (seed: number) => ({
  embedding: { weight: TableRows.units(7, 3, { seed, purpose: "codebook", epoch: 0, index: 0 }) }
})

const laws = (of: Value) => Laws.quantizer(of, learned)

holds("the moving average as a value", laws(value))

for (const levels of [[8, 6, 5], [2], [7], [5, 4, 3], [4096]]) {
  const scalars = FiniteScalar.make({
    codes: ScalarLevels.codes(levels),
    codeWidth: levels.length,
    levels
  })
  holds(`finite scalars of ${levels.join(", ")} levels`, Laws.quantizer(scalars, () => ({})))
}

const learning = LearnedCodes.make({ codes: 7, codeWidth: 3, commitment: 0.25, kmeans: false })

holds("codes that learn by gradient", Laws.quantizer(learning, learned))

holds(
  "codes that pull no vectors",
  Laws.quantizer(LearnedCodes.make({ codes: 7, codeWidth: 3, commitment: 0, kmeans: false }), learned)
)

refuses(
  "a quantizer with parameters",
  (of) => Laws.quantizer(of, learned).filter(({ name }) => name === "has gradients for all its parameters"),
  learning,
  {
    "has gradients for all its parameters": {
      mutant: {
        ...learning,
        quantize: (learned, vectors) => {
          const { losses, ...found } = learning.quantize(learned, vectors)
          return { ...found, losses: { commitment: losses.commitment, codebook: losses.commitment } }
        }
      },
      said: /neither a loss nor z_q has a gradient with respect to learned\.embedding\.weight\n/
    }
  }
)

const by = (lengths: <M extends number>(vectors: Tensor<[M, 3]>) => Tensor<[M]>): Value => ({
  ...value,
  quantize: (learned, vectors) => {
    const z = Elementwise.scaleSamples(vectors, Elementwise.reciprocal(lengths(vectors)))
    return { ...value.quantize(learned, vectors), z, codes: Codes.nearest(z, learned.embedding.weight) }
  }
})

const losing = (
  change: (commitment: Tensor<[]>, learned: { readonly embedding: { readonly weight: Tensor<[7, 3]> } }) => Tensor<[]>
): Value => ({
  ...value,
  quantize: (learned, vectors) => {
    const found = value.quantize(learned, vectors)
    return { ...found, losses: { commitment: change(found.losses.commitment, learned) } }
  }
})

refuses("a quantizer", laws, value, {
  "gives every vector a valid code and a finite value": [
    {
      mutant: {
        ...value,
        quantize: (learned, vectors) => {
          const found = value.quantize(learned, vectors)
          return { ...found, codes: Codes.fromFloat(Elementwise.shift(Elementwise.toFloat(found.codes), 7)) }
        }
      },
      said: /code \d+ is not in 0\.\.6\nexample: \{"vectors":\[\[/
    },
    {
      mutant: by((vectors) => Elementwise.sqrt(Reduction.sumAlong(Elementwise.square(vectors), 1))),
      said: /z is \[NaN, NaN, NaN\] at vector 0\nexample: \{"vectors":\[\[0,0,0\]/
    },
    {
      mutant: by((vectors) => Reduction.sumAlong(Elementwise.exp(vectors), 1)),
      said: /z is \[-Infinity, -Infinity, -Infinity\] at vector 0/
    }
  ],
  "gives a vector the same code in any batch": {
    mutant: {
      ...value,
      quantize: (learned, vectors) =>
        value.quantize(
          learned,
          Elementwise.addBias(vectors, Elementwise.scale(Reduction.meanAlong(vectors, 0), -1))
        )
    },
    said: /the code of vector \d+ alone is \d but must be \d/
  },
  "gives equal codes equal values": {
    mutant: {
      ...value,
      quantize: (learned, vectors) => {
        const found = value.quantize(learned, vectors)
        return { ...found, z_q: found.z }
      }
    },
    said: /number \d of the value of code \d at vector 1, not 0, is/
  },
  "passes the gradient straight through": {
    mutant: {
      ...value,
      quantize: (learned, vectors) => {
        const found = value.quantize(learned, vectors)
        return { ...found, z_q: Codes.lookup(learned.embedding.weight, found.codes) }
      }
    },
    said: /number \d of the gradient of the vectors is 0 but must be about/
  },
  "has losses that are finite, non-negative scalars": [
    { mutant: losing((commitment) => Elementwise.scale(commitment, -1)), said: /the loss commitment is -\d/ },
    { mutant: losing((commitment) => Elementwise.log(commitment)), said: /the loss commitment is -/ },
    {
      mutant: losing((commitment) => Elementwise.sqrt(Elementwise.scale(commitment, 0))),
      said: /the gradient of the loss commitment with respect to vectors contains NaN/
    }
  ],
  "has losses that depend on the vectors and have gradients": [
    {
      mutant: losing((commitment) => Elementwise.shift(Elementwise.scale(commitment, 0), 1)),
      said: /the loss commitment is 1 for all vectors/
    },
    {
      mutant: losing(Elementwise.stopGradient),
      said: /the loss commitment has no gradient with respect to the vectors or a parameter/
    },
    {
      mutant: losing((_, { embedding: { weight } }) => Reduction.sum(Elementwise.square(weight))),
      said: /the loss commitment has no gradient with respect to the vectors or a parameter/
    }
  ]
})
