/**
 * Reads checkpoints of PyTorch 1.6 and later. Such a file is a zip archive. Its `data.pkl` is a pickle of nested records, in
 * which every tensor is a view of a storage. The storages are under `data/`. Archives of compiled programs (TorchScript), such
 * as the published CLIP, have a tree of modules instead of the record. Their code is not read.
 *
 * The caller opens the archive. {@link views} reads the pickle, {@link storage} one storage, and {@link tensor} one tensor.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Pth } from "patchword/domain"
 *
 * const storage = { key: "0", dtype: "F32", length: 6 }
 * const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer)
 * const transposed: Pth.View = { name: "w", storage, offset: 0, shape: [3, 2], strides: [1, 3] }
 * const { data } = Result.getOrThrow(Result.flatMap(Pth.storage(storage, bytes), (array) => Pth.tensor(transposed, array)))
 * assert.deepStrictEqual(data, Float32Array.of(1, 4, 2, 5, 3, 6))
 * ```
 *
 * Sources: `torch/serialization.py`, `torch/_utils.py`.
 */
import { Result, Runtime, Schema } from "effect"
import { TaggedError, type Told } from "../values/TaggedError.ts"
import * as ElementType from "./ElementType.ts"
import type { PickleError } from "./Pickle.ts"
import type { Tensor } from "./Safetensors.ts"
import { decode, Module, Part, type Storage, type View } from "./TorchPickle.ts"

const SHOWN = 5

const some = (names: ReadonlyArray<string>): string =>
  names.length > SHOWN ? `${names.slice(0, SHOWN).join(", ")} and ${names.length - SHOWN} more` : names.join(", ")

/** The reason why a checkpoint cannot be read. Its numbers are those of the file, and may be of any size. */
export const Reason = Schema.TaggedUnion({
  /** It has the format before version 1.6, which is no archive. */
  Legacy: {},
  /** The archive cannot be read. */
  Archive: { problem: Schema.String },
  /** The archive lacks a record. */
  MissingRecord: { record: Schema.String },
  /** A record does not have the length of its storage. */
  WrongLength: { record: Schema.String, expected: Schema.Number, given: Schema.Number },
  /** It was saved on a machine of another byte order. */
  ByteOrder: { given: Schema.String },
  /** A 64-bit integer does not fit in 32 bits. */
  OutOfRange: { record: Schema.String, value: Schema.String },
  /** The checkpoint has no tensors at the usual keys. */
  NoTensors: { keys: Schema.Array(Schema.String) },
  /** The tensors are far larger than the stored data. */
  Repeated: { tensor: Schema.String, elements: Schema.Number, stored: Schema.Number },
  /** A tensor is stored without its negation or conjugation. */
  Pending: { tensor: Schema.String },
  /** A tensor exceeds its storage. */
  OutOfStorage: { tensor: Schema.String, needed: Schema.Number, given: Schema.Number }
})
export type Reason = typeof Reason.Type

const told = (reason: Reason): Told =>
  Reason.match(reason, {
    Legacy: () => ({
      finding: "it has the format before PyTorch 1.6",
      remedy: "load it in PyTorch and save it again: torch.save(torch.load(...), ...)"
    }),
    Archive: ({ problem }) => ({
      finding: `the zip archive is cut off or damaged (${problem})`,
      remedy: "copy the file again"
    }),
    MissingRecord: ({ record }) => ({
      finding: `the archive has no ${record}`,
      remedy: "save it with torch.save, or copy it again"
    }),
    WrongLength: ({ expected, given, record }) => ({
      finding: `${record} has ${given} bytes but ${expected} are expected`,
      remedy: "the file is damaged: copy it again"
    }),
    ByteOrder: ({ given }) => ({
      finding: `its byte order is ${given} but little is expected`,
      remedy: "save it on a little-endian machine"
    }),
    OutOfRange: ({ record, value }) => ({
      finding: `${record} holds ${value}, which does not fit in int32`,
      remedy: "save that tensor as int32 or float32"
    }),
    NoTensors: ({ keys }) => ({
      finding: `it has no tensors at the top or in ${ROOTS.join(", ")}. Its keys: ${some(keys) || "none"}`,
      remedy: "save the tensors: torch.save(model.state_dict(), ...)"
    }),
    Repeated: ({ elements, stored, tensor }) => ({
      finding:
        `its tensors up to "${tensor}" have ${elements} elements, but only ${stored} are stored. The others repeat them`,
      remedy: "save all elements: torch.save({name: tensor.contiguous() for name, tensor in state.items()}, ...)"
    }),
    Pending: ({ tensor }) => ({
      finding: `tensor "${tensor}" is stored without its negation or conjugation`,
      remedy: "apply it and save again: tensor.resolve_neg().resolve_conj()"
    }),
    OutOfStorage: ({ given, needed, tensor }) => ({
      finding: `tensor "${tensor}" needs ${needed} elements of a storage of ${given}`,
      remedy: "the file is damaged: copy it again"
    })
  })

/** A checkpoint of PyTorch cannot be read. */
export class PthError extends TaggedError<PthError>()("PthError", { reason: Reason }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `PyTorch checkpoint: ${told(this.reason).finding}`
  }
  get remedy() {
    return told(this.reason).remedy
  }
}

/** The record of the pickle. All records are in one folder, of any name. */
export const PICKLE = "data.pkl"

/** The record of the byte order. Without it, the byte order is little-endian. */
export const BYTE_ORDER = "byteorder"

/** The keys that hold the tensors of a checkpoint, possibly nested. The first one that exists is used. */
const ROOTS = ["model", "module", "state_dict"] as const

export type { Storage, View }

/** Returns the name of a storage's record. */
export const recordOf = (storage: Storage): string => `data/${storage.key}`

// A damaged record may hold itself, hence the limit.
const unwrapped = (value: unknown, depth: number): unknown => {
  if (!(value instanceof Map) || depth === 0) return value
  const inner = ROOTS.map((key): unknown => value.get(key)).find((next) => next instanceof Map)
  return inner === undefined ? value : unwrapped(inner, depth - 1)
}

/**
 * Lists the tensors of a tree of modules by their paths. A module that occurs again is skipped, because a damaged tree may
 * contain itself.
 */
const flattened = (root: Module): ReadonlyArray<readonly [string, unknown]> => {
  const seen = new Set<Module>()
  const found: Array<readonly [string, unknown]> = []
  const open: Array<readonly [string, unknown]> = [["", root]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [path, value] = next
    if (!(value instanceof Module)) found.push(next)
    else if (!seen.has(value)) {
      seen.add(value)
      // A name that is no text, such as a list of lists, could be endless when written out.
      open.push(
        ...[...value.members].toReversed().flatMap(([name, member]) =>
          typeof name === "string" ? [[path === "" ? name : `${path}.${name}`, member] as const] : []
        )
      )
    }
  }
  return found
}

// The product of large numbers is infinite, and would be NaN with a 0 behind it.
const size = (shape: ReadonlyArray<number>): number =>
  shape.includes(0) ? 0 : shape.reduce((product, dim) => product * dim, 1)

const isRowMajor = ({ shape, strides }: Pick<View, "shape" | "strides">): boolean =>
  shape.every((dim, axis) => dim === 1 || strides[axis] === size(shape.slice(axis + 1)))

/** Tests whether a tensor is the whole of its storage, in order. It then needs no memory of its own. */
const isWhole = (view: View): boolean => size(view.shape) === view.storage.length && isRowMajor(view)

/** Largest number of elements beyond the stored data. A few tensors are expanded, such as index buffers. */
const SPARE = 2 ** 22

/** Fails if tensors would take far more memory than their file. */
const bounded = (found: ReadonlyArray<View>): Result.Result<ReadonlyArray<View>, PthError> => {
  const lengths = new Map(found.map(({ storage }) => [`${storage.dtype} ${storage.key}`, storage.length]))
  const stored = [...lengths.values()].reduce((sum, length) => sum + length, 0)
  let elements = 0
  for (const view of found) {
    if (isWhole(view)) continue
    elements += size(view.shape)
    // Weights that are tied may be cut out of one storage twice.
    if (elements > 2 * stored + SPARE) return fail({ _tag: "Repeated", tensor: view.name, elements, stored })
  }
  return Result.succeed(found)
}

/**
 * Reads the tensors of a checkpoint from its pickle. They are taken from its `model`, `module` or `state_dict`, which may be
 * nested.
 *
 * Fails if there are none, or if the tensors are far larger than the stored data.
 */
export const views = (
  pickle: Uint8Array
): Result.Result<ReadonlyArray<View>, PthError | PickleError> =>
  Result.flatMap(decode(pickle), (value) => {
    const root = unwrapped(value, ROOTS.length)
    const entries: ReadonlyArray<readonly [unknown, unknown]> = root instanceof Map
      ? [...root]
      : root instanceof Module
      ? flattened(root)
      : []
    const parts = entries.flatMap(([name, part]) =>
      typeof name === "string" && part instanceof Part ? [{ name, part }] : []
    )
    const pending = parts.find(({ part }) => part.pending)
    if (pending !== undefined) return fail({ _tag: "Pending", tensor: pending.name })
    if (parts.length > 0) return bounded(parts.map(({ name, part }) => ({ name, ...part.view })))
    return fail({ _tag: "NoTensors", keys: entries.map(([key]) => typeof key === "string" ? key : typeof key) })
  })

const fail = (reason: Reason) => Result.fail(new PthError({ reason }))

/** Checks that a record has the length of its storage. */
export const checkLength = (storage: Storage, given: number): Result.Result<void, PthError> => {
  const expected = storage.length * ElementType.DTYPES[storage.dtype]!.size
  return given === expected
    ? Result.void
    : fail({ _tag: "WrongLength", record: recordOf(storage), expected, given })
}

/**
 * Decodes a storage from the bytes of its record. F16, BF16 and F64 become float32, I64 and U8 become int32. The array may
 * share the memory of `bytes`.
 */
export const storage = (
  storage: Storage,
  bytes: Uint8Array
): Result.Result<ElementType.Elements, PthError> => {
  const record = recordOf(storage)
  return Result.flatMap(checkLength(storage, bytes.length), () =>
    Result.mapError(
      ElementType.DTYPES[storage.dtype]!.decode(bytes),
      ({ value }) => new PthError({ reason: { _tag: "OutOfRange", record, value } })
    ))
}

const LONGEST = 2 ** 31 - 1

/** Returns a tensor as a row-major array of its own. A tensor that is the whole of its storage is returned without a copy. */
export const tensor = (
  view: View,
  elements: ElementType.Elements
): Result.Result<Tensor, PthError> => {
  const { name, offset, shape, strides } = view
  const { data, dtype } = elements
  const length = size(shape)
  const end = length === 0 ? 0 : offset + shape.reduce((sum, dim, axis) => sum + (dim - 1) * strides[axis]!, 1)
  if (end > data.length || length > LONGEST) {
    return fail({ _tag: "OutOfStorage", tensor: name, needed: Math.max(end, length), given: data.length })
  }
  if (isRowMajor({ shape, strides })) {
    return Result.succeed({
      shape,
      dtype,
      data: length === data.length ? data : data.slice(offset, offset + length)
    })
  }
  const gathered = ElementType.zeros(dtype, length)
  const index = shape.map(() => 0)
  for (let i = 0, at = offset; i < length; i++) {
    gathered[i] = data[at]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      at -= shape[axis]! * strides[axis]!
      index[axis] = 0
    }
  }
  return Result.succeed({ shape, dtype, data: gathered })
}
