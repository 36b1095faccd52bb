import * as Laws from "../../src/laws/index.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import { holds } from "../laws/kit.ts"

holds("the quantizer", Laws.lookup(MovingAverage.quantize))
holds("straight through the quantizer", Laws.straightThrough(MovingAverage.quantize))
holds("the commitment of the quantizer", Laws.commitment(MovingAverage.quantize))
