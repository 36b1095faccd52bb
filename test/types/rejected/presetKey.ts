// error: 'batchsize' does not exist in type
// compile time only
import { Preset, Presets } from "../../../src/domain/index.ts"

Preset.with(Presets.tiny, { tokenizer: { optimizer: { batchsize: 8 } } })
