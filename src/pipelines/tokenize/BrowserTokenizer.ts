/**
 * A tokenizer in a browser: ONNX Runtime runs its exported codes. The preprocessing is that of patchword itself. This file runs in
 * browsers: it imports modules without dependencies only.
 */
import * as Crop from "../../domain/pixels/Crop.ts"
import * as Normalize from "../../domain/pixels/Normalize.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as BrowserPicture from "./BrowserPicture.ts"
import * as PictureFile from "./PictureFile.ts"

/** The settings that a page has for its script. */
export interface Settings {
  /** The address of the folder of the files that the page needs, with a slash at its end. */
  readonly base: string
  /** The names of files in it: the exported tokenizer, the script of ONNX Runtime and its WebAssembly. */
  readonly model: string
  readonly runtime: string
  readonly wasm: string
  /** The side of the view that the tokenizer sees, in pixels, and its patches. */
  readonly size: number
  readonly grid: { readonly height: number; readonly width: number }
  readonly crop: Crop.Evaluation
  readonly colour: BrowserPicture.Colour
}

/** The parts of onnxruntime-web that are used here. */
interface Runtime {
  readonly env: {
    logLevel?: string
    readonly wasm: { numThreads?: number; wasmPaths?: { readonly wasm: string } }
  }
  readonly Tensor: new(type: "float32", data: Float32Array, dims: ReadonlyArray<number>) => object
  readonly InferenceSession: {
    readonly create: (model: string, options: object) => Promise<{
      readonly run: (feeds: object) => Promise<Readonly<Record<string, { readonly data: ArrayLike<number> }>>>
    }>
  }
}

/** A picture as the tokenizer sees it, and the code of each of its patches, row-major. */
export interface Tokenized {
  readonly view: Picture
  readonly codes: Int32Array
  /** The kind of a file whose codes can differ from those of `patchword encode`. */
  readonly differing: string | undefined
}

/** Loads the runtime and the tokenizer, and returns the function that tokenizes an image file. Rejects if they cannot be loaded. */
export const open = async (settings: Settings): Promise<(file: Blob) => Promise<Tokenized>> => {
  const { base, colour, crop, model, runtime, size, wasm } = settings
  const place = (name: string): string => new URL(base + name, document.baseURI).href
  const { InferenceSession, Tensor, env }: Runtime = await import(place(runtime))
  env.logLevel = "fatal"
  env.wasm.numThreads = 1
  env.wasm.wasmPaths = { wasm: place(wasm) }
  const session = await InferenceSession.create(place(model), {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    logSeverityLevel: 4
  })
  return async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer())
    // The official code does not turn pictures.
    const refused = colour === "managed" ? PictureFile.refused(bytes) : undefined
    if (refused !== undefined) throw new Error(refused)
    const view = Crop.central(await BrowserPicture.decode(file, colour), size, crop)
    const images = new Tensor("float32", Normalize.unit([view]), [1, 3, size, size])
    const { codes } = await session.run({ images })
    const differing = PictureFile.differing(bytes)
    return { view, codes: Int32Array.from(codes!.data), differing }
  }
}
