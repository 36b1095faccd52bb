/** The names of the files that a page needs to tokenize pictures, in the folder that it asks for them. */

/** The ending of modules: that of the sources in a checkout, and that of JavaScript in a package. */
const ENDING = import.meta.url.endsWith(".ts") ? "ts" : "js"

/** The script of the page. Modules have the names that they have in the source. */
export const SCRIPT = `pipelines/tokenize/TokenizeScript.${ENDING}`

/** The exported tokenizer. */
export const MODEL = "tokenizer.onnx"

/** The script of onnxruntime-web for WebAssembly alone. */
export const RUNTIME = "ort.wasm.bundle.min.mjs"

/** The WebAssembly of ONNX Runtime. */
export const WASM = "ort-wasm-simd-threaded.wasm"
