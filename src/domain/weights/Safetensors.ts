/**
 * The safetensors file format: named arrays after a JSON header. PyTorch, timm and transformers read it.
 *
 * A file has three parts: the length of the header (8 bytes, little-endian), the header (JSON, padded with spaces to a multiple
 * of 8), and the arrays back to back. {@link encode} and {@link decode} take a whole file. {@link encodeParts}, {@link
 * readHeader} and {@link decodeTensor} write and read one array at a time. Files above 2 GiB need them.
 *
 * The bytes depend on the tensors and the metadata alone. Names are sorted. 4-byte elements come before 1-byte elements, so
 * that every array is aligned.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Safetensors } from "patchword/domain"
 *
 * const bytes = Safetensors.encode({ "head.bias": { shape: [2], dtype: "float32", data: Float32Array.of(1, 2) } })
 * const { tensors } = Result.getOrThrow(Safetensors.decode(bytes))
 * assert.deepStrictEqual(tensors["head.bias"]?.data, Float32Array.of(1, 2))
 * ```
 *
 * Format: https://github.com/huggingface/safetensors#format
 */
import { Result, Runtime, Schema } from "effect"
import * as Json from "../values/Json.ts"
import { TaggedError, type Told } from "../values/TaggedError.ts"
import { DTYPES, type Elements, written } from "./ElementType.ts"

/** A row-major array. Host tensors are such arrays. */
export interface Tensor extends Elements {
  readonly shape: ReadonlyArray<number>
}

/** The reason why a file cannot be read. Its numbers are those of the file, and may be of any size. */
export const Reason = Schema.TaggedUnion({
  /** The file ends before the header or a tensor does. */
  Truncated: { needed: Schema.Number, given: Schema.Number },
  /** Bytes follow the last tensor. */
  Trailing: { needed: Schema.Number, given: Schema.Number },
  /** The header is longer than the format allows. The file is probably not a safetensors file. */
  HeaderTooLong: { length: Schema.String },
  /** The header does not follow the format. */
  HeaderInvalid: { problem: Schema.String },
  /** A key occurs twice in the header. */
  Duplicate: { key: Schema.String },
  /** The element type is not in `ElementType.DTYPES`. */
  UnknownDType: { dtype: Schema.String },
  /** The byte range does not have the size of the shape. */
  SizeMismatch: { dtype: Schema.String, shape: Schema.Array(Schema.Number), given: Schema.Number },
  /** The byte range begins before the previous one ends. */
  Overlap: { other: Schema.String },
  /** The byte range does not begin where the previous one ends. */
  Gap: { expected: Schema.Number, given: Schema.Number },
  /** A 64-bit integer does not fit in 32 bits. */
  OutOfRange: { index: Schema.Int, value: Schema.String }
})
export type Reason = typeof Reason.Type

const told = (reason: Reason): Told =>
  Reason.match(reason, {
    Truncated: ({ given, needed }) => ({
      finding: `the file is cut off: it has ${given} bytes, and needs ${needed} or more`,
      remedy: "copy the file again"
    }),
    Trailing: ({ given, needed }) => ({
      finding: `the file has ${given} bytes but its tensors end at ${needed}`,
      remedy: "copy the file again"
    }),
    HeaderTooLong: ({ length }) => ({
      finding: `the header claims ${length} bytes but at most ${MAX_HEADER} are allowed`,
      remedy: "check that this is a safetensors file"
    }),
    HeaderInvalid: ({ problem }) => ({
      finding: `the header is invalid: ${problem}`,
      remedy: "the file is damaged: copy it again"
    }),
    Duplicate: ({ key }) => ({
      finding: `the header has the key "${key}" twice`,
      remedy: "write the file again with unique names"
    }),
    UnknownDType: ({ dtype }) => ({
      finding: `element type ${dtype} is not supported`,
      remedy: `convert it to one of ${Object.keys(DTYPES).join(", ")}`
    }),
    SizeMismatch: ({ dtype, given, shape }) => ({
      finding: `its byte range has ${given} bytes, which is not the size of shape [${shape.join(", ")}] in ${dtype}`,
      remedy: "the file is damaged: copy it again"
    }),
    Overlap: ({ other }) => ({
      finding: `its byte range overlaps that of "${other}"`,
      remedy: "the file is damaged: copy it again"
    }),
    Gap: ({ expected, given }) => ({
      finding: `its byte range begins at ${given} but the previous one ends at ${expected}`,
      remedy: "the file is damaged: copy it again"
    }),
    OutOfRange: ({ index, value }) => ({
      finding: `element ${index} is ${value}, which does not fit in int32`,
      remedy: "store it as I32 or F32"
    })
  })

/** A file is not valid safetensors, or holds data that host arrays cannot. */
export class SafetensorsError extends TaggedError<SafetensorsError>()("SafetensorsError", {
  /** The tensor with the problem; absent if the problem concerns the file as a whole. */
  tensor: Schema.optionalKey(Schema.String),
  reason: Reason
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const subject = this.tensor === undefined ? "safetensors" : `safetensors: tensor "${this.tensor}"`
    return `${subject}: ${told(this.reason).finding}`
  }
  get remedy() {
    return told(this.reason).remedy
  }
}

/** One array of a file: its byte range, type and shape. */
export interface Entry {
  readonly name: string
  /** The element type in the file, a key of `ElementType.DTYPES`. */
  readonly dtype: string
  readonly shape: ReadonlyArray<number>
  /** The first byte and the byte after the last one, counted from {@link Header.dataOffset}. */
  readonly begin: number
  readonly end: number
}

/** The decoded header of a file. */
export interface Header {
  /** The arrays in the order of their bytes, without gaps. */
  readonly entries: ReadonlyArray<Entry>
  readonly metadata: Readonly<Record<string, string>>
  /** The position of the arrays, in bytes from the start of the file. */
  readonly dataOffset: number
  /** The length of the whole file in bytes. */
  readonly byteLength: number
}

/** The content of a whole file. */
export interface Decoded {
  readonly tensors: Readonly<Record<string, Tensor>>
  readonly metadata: Readonly<Record<string, string>>
}

/** The official limit of the header's length, in bytes. */
export const MAX_HEADER = 100_000_000

const METADATA = "__metadata__"

const fail = (reason: Reason, tensor?: string) =>
  Result.fail(new SafetensorsError({ reason, ...(tensor === undefined ? {} : { tensor }) }))

const elements = (shape: ReadonlyArray<number>): number => shape.reduce((product, dim) => product * dim, 1)

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * Encodes a file as a list of byte arrays: the header, then one view per tensor, without a copy. In sequence they are the file
 * that {@link encode} returns.
 *
 * @throws RangeError if the length of an array does not fit its shape, or if its name is `__metadata__`.
 */
export const encodeParts = (
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {}
): ReadonlyArray<Uint8Array> => {
  let offset = 0
  const placed = Object.entries(tensors)
    .map(([name, tensor]) => ({ name, tensor, itemSize: tensor.data.BYTES_PER_ELEMENT }))
    .toSorted((a, b) => b.itemSize - a.itemSize || byCodeUnits(a.name, b.name))
    .map(({ name, tensor }) => {
      if (name === METADATA) throw new RangeError(`safetensors: a tensor cannot be called ${METADATA}`)
      if (tensor.data.length !== elements(tensor.shape)) {
        throw new RangeError(
          `safetensors: tensor "${name}" of shape [${tensor.shape.join(", ")}] has ${tensor.data.length} elements`
        )
      }
      const begin = offset
      offset += tensor.data.byteLength
      const entry = { dtype: written[tensor.dtype], shape: tensor.shape, data_offsets: [begin, offset] }
      return { name, entry, bytes: new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength) }
    })
  // Members are joined by hand because objects move keys such as "0" to the front.
  const members = placed
    .toSorted((a, b) => byCodeUnits(a.name, b.name))
    .map(({ entry, name }) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`)
  const pairs = Object.entries(metadata)
    .toSorted(([a], [b]) => byCodeUnits(a, b))
    .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
  if (pairs.length > 0) members.unshift(`"${METADATA}":{${pairs.join(",")}}`)
  const text = new TextEncoder().encode(`{${members.join(",")}}`)
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true)
  header.set(text, 8)
  return [header, ...placed.map(({ bytes }) => bytes)]
}

/**
 * Encodes a file of tensors. The same tensors and metadata always give the same bytes.
 *
 * @throws RangeError if the length of an array does not fit its shape, or if its name is `__metadata__`.
 */
export const encode = (
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {}
): Uint8Array => {
  const parts = encodeParts(tensors, metadata)
  const file = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    file.set(part, offset)
    offset += part.length
  }
  return file
}

/** Returns the number of bytes that {@link readHeader} needs, from the first eight bytes of a file. */
export const headerLength = (prefix: Uint8Array): Result.Result<number, SafetensorsError> => {
  if (prefix.length < 8) return fail({ _tag: "Truncated", needed: 8, given: prefix.length })
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true)
  return length > BigInt(MAX_HEADER)
    ? fail({ _tag: "HeaderTooLong", length: `${length}` })
    : Result.succeed(8 + Number(length))
}

/** Number of bytes that {@link recognise} reads. */
export const BEGINNING = 9

/** Tests whether a file claims to be safetensors, from its beginning: a possible header length, then a brace. */
export const recognise = (beginning: Uint8Array): boolean =>
  Result.isSuccess(headerLength(beginning)) && beginning[8] === 0x7b

const decodeEntry = Schema.decodeUnknownResult(Schema.Struct({
  dtype: Schema.String,
  shape: Schema.Array(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  data_offsets: Schema.Tuple([
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
  ])
}))

const decodeMetadata = Schema.decodeUnknownResult(Schema.Record(Schema.String, Schema.String))

// `JSON.parse` keeps the last of two equal keys without a word, so they are looked for in the text.
const duplicateKey = (json: string): string | undefined => {
  const open: Array<Set<string>> = []
  for (const [token, key] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")\s*:|"[^"\\]*(?:\\.[^"\\]*)*"|[{}]/g)) {
    if (token === "{") open.push(new Set())
    else if (token === "}") open.pop()
    else if (key !== undefined) {
      const name: string = JSON.parse(key)
      const keys = open.at(-1)
      if (keys?.has(name)) return name
      keys?.add(name)
    }
  }
  return undefined
}

/**
 * Reads the header of a file from its first {@link headerLength} bytes. It checks everything except the arrays themselves:
 * element types, sizes, and byte ranges without gaps.
 */
export const readHeader = (bytes: Uint8Array): Result.Result<Header, SafetensorsError> =>
  Result.gen(function*() {
    const dataOffset = yield* headerLength(bytes)
    if (bytes.length < dataOffset) return yield* fail({ _tag: "Truncated", needed: dataOffset, given: bytes.length })
    const invalid = (problem: string) => new SafetensorsError({ reason: { _tag: "HeaderInvalid", problem } })
    const text = yield* Result.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, dataOffset)),
      catch: (cause) => invalid(`it is not JSON (${cause instanceof Error ? cause.message : String(cause)})`)
    })
    const json = yield* Result.mapError(Json.parse(text), ({ problem }) => invalid(`it is not JSON (${problem})`))
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      return yield* Result.fail(invalid("it is not a JSON object"))
    }
    const duplicate = duplicateKey(text)
    if (duplicate !== undefined) return yield* fail({ _tag: "Duplicate", key: duplicate })

    let metadata: Readonly<Record<string, string>> = {}
    const entries: Array<Entry> = []
    for (const [name, value] of Object.entries(json)) {
      if (name === METADATA) {
        yield* Result.mapError(decodeMetadata(value), (error) => invalid(`${METADATA}: ${error.message}`))
        metadata = value
        continue
      }
      const entry = yield* Result.mapError(decodeEntry(value), (error) =>
        new SafetensorsError({ tensor: name, reason: { _tag: "HeaderInvalid", problem: error.message } }))
      const [begin, end] = entry.data_offsets
      const dtype = Object.hasOwn(DTYPES, entry.dtype) ? DTYPES[entry.dtype] : undefined
      if (dtype === undefined) {
        return yield* fail({ _tag: "UnknownDType", dtype: entry.dtype }, name)
      }
      if (elements(entry.shape) * dtype.size !== end - begin) {
        return yield* fail({ _tag: "SizeMismatch", dtype: entry.dtype, shape: entry.shape, given: end - begin }, name)
      }
      entries.push({ name, dtype: entry.dtype, shape: entry.shape, begin, end })
    }
    entries.sort((a, b) =>
      a.begin - b.begin || a.end - b.end || byCodeUnits(a.name, b.name)
    )
    let previous: Entry | undefined
    for (const entry of entries) {
      const expected = previous?.end ?? 0
      if (previous !== undefined && entry.begin < expected) {
        return yield* fail({ _tag: "Overlap", other: previous.name }, entry.name)
      }
      if (entry.begin > expected) return yield* fail({ _tag: "Gap", expected, given: entry.begin }, entry.name)
      previous = entry
    }
    return { entries, metadata, dataOffset, byteLength: dataOffset + (previous?.end ?? 0) }
  })

/** Checks that a file of `byteLength` bytes is as long as its header requires. Fails with the first tensor that is cut off. */
export const checkLength = (header: Header, byteLength: number): Result.Result<void, SafetensorsError> => {
  const needed = header.byteLength
  if (byteLength > needed) return fail({ _tag: "Trailing", needed, given: byteLength })
  const cut = header.entries.find(({ end }) => header.dataOffset + end > byteLength)
  return cut === undefined ? Result.void : fail({ _tag: "Truncated", needed, given: byteLength }, cut.name)
}

/**
 * Decodes one array from the `end - begin` bytes of its entry. F16, BF16 and F64 become float32, I64 and U8 become int32. The
 * array may share the memory of `bytes`.
 */
export const decodeTensor = (entry: Entry, bytes: Uint8Array): Result.Result<Tensor, SafetensorsError> => {
  const dtype = DTYPES[entry.dtype]
  if (dtype === undefined) return fail({ _tag: "UnknownDType", dtype: entry.dtype }, entry.name)
  return dtype.decode(bytes).pipe(
    Result.mapBoth({
      onSuccess: (elements): Tensor => ({ shape: entry.shape, ...elements }),
      onFailure: (reason) => new SafetensorsError({ tensor: entry.name, reason: { _tag: "OutOfRange", ...reason } })
    })
  )
}

/** Decodes the tensors and the metadata of a file. The tensors own their memory. */
export const decode = (bytes: Uint8Array): Result.Result<Decoded, SafetensorsError> =>
  Result.gen(function*() {
    const header = yield* readHeader(bytes)
    yield* checkLength(header, bytes.length)
    const tensors: Array<readonly [string, Tensor]> = []
    for (const entry of header.entries) {
      const own = new Uint8Array(bytes.subarray(header.dataOffset + entry.begin, header.dataOffset + entry.end))
      tensors.push([entry.name, yield* decodeTensor(entry, own)])
    }
    return { tensors: Object.fromEntries(tensors), metadata: header.metadata }
  })
