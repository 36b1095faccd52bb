/**
 * The objects of PyTorch in a pickle: storages, tensors as views of them, and the modules of compiled programs.
 *
 * Sources: `torch/serialization.py`, `torch/_utils.py`.
 */
import { type Result, Schema } from "effect"
import * as Pickle from "./Pickle.ts"

/** An array without a shape. Tensors may share it. */
export interface Storage {
  readonly key: string
  /** The element type, as safetensors names it: a key of `ElementType.DTYPES`. */
  readonly dtype: string
  /** The number of elements. */
  readonly length: number
}

/** A tensor as a part of a storage. */
export interface View {
  readonly name: string
  readonly storage: Storage
  /** The offset, in elements, as are the strides. */
  readonly offset: number
  readonly shape: ReadonlyArray<number>
  readonly strides: ReadonlyArray<number>
}

const storages: Readonly<Record<string, string>> = {
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.DoubleStorage": "F64",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL"
}

class Stored implements Storage {
  readonly key: string
  readonly dtype: string
  readonly length: number
  constructor(key: string, dtype: string, length: number) {
    this.key = key
    this.dtype = dtype
    this.length = length
  }
}

/** A tensor, as a value of a pickle. */
export class Part {
  readonly view: Omit<View, "name">
  /** True if a negation or conjugation still has to be applied. */
  readonly pending: boolean
  constructor(view: Omit<View, "name">, pending: boolean) {
    this.view = view
    this.pending = pending
  }
}

/** A module of a compiled program: its tensors, its modules and other members, by name. */
export class Module {
  readonly members = new Map<unknown, unknown>()
}

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const isStorageId = Schema.is(
  Schema.Tuple([
    Schema.Literal("storage"),
    Schema.instanceOf(Pickle.Reference),
    Schema.String,
    Schema.NullOr(Schema.String),
    Count
  ])
)
// PyTorch has no tensors of more axes.
const Axes = Schema.Array(Count).check(Schema.isMaxLength(64))
const isPlace = Schema.is(Schema.Tuple([Count, Axes, Axes]))

const persistent = (id: unknown): unknown => {
  if (!isStorageId(id)) return undefined
  const [, { name }, key, , length] = id
  const dtype = Object.hasOwn(storages, name) ? storages[name] : undefined
  return dtype === undefined ? undefined : new Stored(key, dtype, length)
}

const rebuild = ([storage, offset, shape, strides, , , metadata]: ReadonlyArray<unknown>): unknown => {
  const pending = metadata instanceof Map && ["neg", "conj"].some((bit) => metadata.get(bit) === true)
  const given: unknown = [offset, shape, strides]
  return storage instanceof Stored && isPlace(given) && given[1].length === given[2].length
    ? new Part({ storage, offset: given[0], shape: given[1], strides: given[2] }, pending)
    : undefined
}

const compiled: Pickle.Global = {
  call: () => new Module(),
  build: (module, state) => {
    if (!(module instanceof Module) || !(state instanceof Map)) return
    for (const [name, value] of state) module.members.set(name, value)
  }
}

/** Returns the class of a compiled program. Such classes have generated names. */
const others = (name: string): Pickle.Global | undefined => name.startsWith("__torch__.") ? compiled : undefined

// Numbers of numpy and sets, which stand among the options of a training run, and lists of modules are not used.
const unused: Pickle.Global = { call: () => new Map() }

const globals: Readonly<Record<string, Pickle.Global>> = {
  ...Object.fromEntries(Object.keys(storages).map((name) => [name, { call: () => undefined }])),
  "torch._utils._rebuild_tensor_v2": { call: rebuild },
  "torch._utils._rebuild_parameter": { call: ([tensor]) => tensor instanceof Part ? tensor : undefined },
  "torch.Size": { call: ([sizes]) => sizes },
  "collections.OrderedDict": { call: (args) => args.length === 0 ? new Map() : undefined },
  "argparse.Namespace": {
    call: () => new Map(),
    build: (namespace, state) => {
      if (!(namespace instanceof Map) || !(state instanceof Map)) return
      for (const [name, value] of state) namespace.set(name, value)
    }
  },
  ...Object.fromEntries(
    ["build_boollist", "build_doublelist", "build_intlist", "build_tensorlist", "restore_type_tag"]
      .map((name) => [`torch.jit._pickle.${name}`, unused])
  ),
  "numpy.dtype": unused,
  "numpy.core.multiarray.scalar": unused,
  "numpy._core.multiarray.scalar": unused,
  "_codecs.encode": unused,
  "builtins.set": unused,
  "__builtin__.set": unused
}

/** Decodes a pickle of PyTorch. */
export const decode = (pickle: Uint8Array): Result.Result<unknown, Pickle.PickleError> =>
  Pickle.decode(pickle, { globals, others, persistent })
