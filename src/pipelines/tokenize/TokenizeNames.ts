/** The names of the files that a page needs to tokenize pictures, in the folder that it asks for them. */

/** The exported tokenizer. */
export const MODEL = "tokenizer.onnx"

/** The script of onnxruntime-web for WebAssembly alone. */
export const RUNTIME = "ort.wasm.bundle.min.mjs"

/** The WebAssembly of ONNX Runtime. */
export const WASM = "ort-wasm-simd-threaded.wasm"
