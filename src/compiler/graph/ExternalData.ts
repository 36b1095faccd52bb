/** Which files a model of any maker needs beside its own: ONNX keeps large tensors outside of it. */
import { Model } from "./OnnxSchema.ts"

/** A tensor whose numbers may be in another file. */
interface Elsewhere {
  readonly name?: string
  readonly dataLocation?: number
  readonly externalData?: ReadonlyArray<{ readonly key: string; readonly value: string }>
}

/** Where a model keeps tensors outside of itself. */
export interface ExternalData {
  /** The files, as the model names them: relative to itself. Of its constants, which engines can be given. */
  readonly files: ReadonlyArray<string>
  /** Tensors within nodes, functions and inner graphs that are in other files. */
  readonly inner: ReadonlyArray<string>
}

/** `data_location` of a tensor whose numbers are in another file. */
const EXTERNAL = 1

const isElsewhere = (value: object): value is Elsewhere => "dataLocation" in value && value.dataLocation === EXTERNAL

// Every message below one, but for numbers and bytes.
const below = (value: object): ReadonlyArray<object> =>
  Object.values(value).flatMap((part: unknown) =>
    Array.isArray(part)
      ? part.filter((one) => typeof one === "object" && one !== null)
      : typeof part === "object" && part !== null && !ArrayBuffer.isView(part)
      ? [part]
      : []
  )

const elsewhere = (value: object): ReadonlyArray<Elsewhere> =>
  isElsewhere(value) ? [value] : below(value).flatMap(elsewhere)

/**
 * What a model of any maker keeps in other files.
 *
 * @throws Error when the bytes are no model.
 */
export const of = (bytes: Uint8Array): ExternalData => {
  const model: object & { readonly graph?: { readonly initializer?: ReadonlyArray<object> } } = Model.decode(bytes)
  const constants = new Set(model.graph?.initializer)
  const found = elsewhere(model)
  const location = ({ externalData = [] }: Elsewhere) => externalData.find(({ key }) => key === "location")?.value ?? ""
  return {
    files: [...new Set(found.filter((tensor) => constants.has(tensor)).map(location))].toSorted(),
    inner: found.filter((tensor) => !constants.has(tensor)).map(({ name = "" }) => name)
  }
}
