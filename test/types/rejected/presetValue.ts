// error: Type 'string' is not assignable to type 'number'
// compile time only
import { Preset, Presets } from "../../../src/domain/index.ts"

Preset.with(Presets.tiny, { tokenizer: { optimizer: { batchSize: "8" } } })
