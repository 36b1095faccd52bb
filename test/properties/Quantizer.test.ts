import * as Laws from "../../src/laws/index.ts"
import * as LearnedCodes from "../../src/nn/tokenizer/LearnedCodes.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { holds } from "../laws/kit.ts"

holds("the quantizer", Laws.lookup(MovingAverage.quantize))
holds("straight through the quantizer", Laws.straightThrough(MovingAverage.quantize))
holds("the commitment of the quantizer", Laws.commitment(MovingAverage.quantize))

type Values = Tensor<[number, number]>

const learned = LearnedCodes.make<number, number>({ codes: 1, codeWidth: 1, commitment: 1, kmeans: false })
const lookup = (weight: Values, vectors: Values) => learned.quantize({ embedding: { weight } }, vectors)

holds("the lookup of codes that learn by gradient", Laws.lookup(lookup))
holds("straight through codes that learn by gradient", Laws.straightThrough(lookup))
