// error: Type 'number' is not assignable to type 'N["width"]'
// compile time only
import type * as Vqkd from "../../../src/nn/tokenizer/Vqkd.ts"

export const width = <N extends Vqkd.Sizes>(): N["width"] => 768
