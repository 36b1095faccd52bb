import * as Laws from "../../src/laws/index.ts"
import * as Quantizer from "../../src/nn/tokenizer/Quantizer.ts"
import { holds } from "../laws/kit.ts"

holds("the quantizer", Laws.lookup(Quantizer.quantize))
holds("straight through the quantizer", Laws.straightThrough(Quantizer.quantize))
holds("the commitment of the quantizer", Laws.commitment(Quantizer.quantize))
