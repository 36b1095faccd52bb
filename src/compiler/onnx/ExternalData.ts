/** Finds the external data files of an ONNX model. ONNX keeps large tensors outside of the model file. */
import { Model } from "./OnnxSchema.ts"

/** A tensor whose elements may be in another file. */
interface Elsewhere {
  readonly name?: string
  readonly dataLocation?: number
  readonly externalData?: ReadonlyArray<{ readonly key: string; readonly value: string }>
}

/** The tensors that a model keeps outside of its own file. */
export interface ExternalData {
  /** Paths of files that hold constants of the graph, relative to the model. Engines can load these. */
  readonly files: ReadonlyArray<string>
  /** Names of external tensors within nodes, functions and inner graphs. */
  readonly inner: ReadonlyArray<string>
}

/** The `data_location` of a tensor whose elements are in another file. */
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
 * Lists the external data of any ONNX model.
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
