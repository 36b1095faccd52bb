/**
 * Weights as a value: arrays under their official state-dict names, and what produced them. Stages take weights and
 * return weights. Files of them are safetensors, under the names of the official code, of timm or of Hugging Face; the
 * official checkpoints, which are PyTorch's, are read as well.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Weights } from "patchword/layers"
 * import { HostTensor } from "patchword/shapes"
 *
 * const weights = Weights.make(Weights.flatten({ norm: { weight: HostTensor.zeros([4], "float32") } }))
 * const spec = { norm: { weight: { shape: [4], dtype: "float32" } } } as const
 * assert.deepStrictEqual(Result.getOrThrow(Weights.conform(spec, weights)).norm.weight.data, new Float32Array(4))
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Result, Runtime, Schema } from "effect"
import * as Model from "../../domain/config/Model.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"
import { version } from "../../domain/values/Version.ts"
import * as KnownNetworks from "../../domain/weights/KnownNetworks.ts"
import * as Naming from "../../domain/weights/Naming.ts"
import * as Pickle from "../../domain/weights/Pickle.ts"
import * as Pth from "../../domain/weights/Pth.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Files from "../files/Files.ts"
import { readAt } from "../files/ReadAt.ts"
import * as pth from "./PthFile.ts"

/** What produced a set of weights. */
export class Provenance extends Schema.Class<Provenance>("patchword/layers/Weights/Provenance")({
  /** The stage that trained them, as `pretrain`. */
  stage: Schema.String,
  configDigest: Schema.String,
  dataDigest: Schema.String,
  /** The digest of the teacher's or the tokenizer's weights, where there was one. */
  teacherDigest: Schema.optionalKey(Schema.String),
  /** The teacher's name, where there was one. */
  teacher: Schema.optionalKey(Schema.String),
  /** What the weights are, so that their network can be built again. */
  model: Schema.optionalKey(Model.Model),
  /** How many steps were taken. */
  step: Schema.Int,
  /** What they were computed on; absent in files of earlier versions. */
  computedOn: Schema.optionalKey(ComputedOn.History),
  seed: Schema.Int,
  /** The version of patchword. */
  version: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(version)))
}) {}

/** Arrays by name. The arrays of a flat record, of a checkpoint, of a file. */
export type Tensors = Readonly<Record<string, HostTensor.Any>>

/** Arrays under their official names with their provenance; none for files from elsewhere. */
export interface Weights {
  readonly tensors: Tensors
  readonly provenance: Option.Option<Provenance>
}

const Described = Schema.Struct({ name: Schema.String, expected: Schema.String, given: Schema.String })

/** The tensors are not those of the network. Exits with 65. */
export class Mismatch extends Schema.TaggedError<Mismatch>()("Mismatch", {
  missing: Schema.Array(Schema.Struct({ name: Schema.String, expected: Schema.String })),
  unexpected: Schema.Array(Schema.Struct({ name: Schema.String, given: Schema.String })),
  misshaped: Schema.Array(Described)
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const parts = [
      ["missing", this.missing.map(({ expected, name }) => `${name} ${expected}`)],
      ["unexpected", this.unexpected.map(({ given, name }) => `${name} ${given}`)],
      [
        "of another shape",
        this.misshaped.map(({ expected, given, name }) => `${name} is ${given}, expected ${expected}`)
      ]
    ] as const
    const list = parts.filter(([, names]) => names.length > 0).map(([what, names]) =>
      `${names.length} ${what}: ${names.join(", ")}`
    )
    return `the tensors are not those of the network (${list.join("; ")}); use weights of the same architecture`
  }
}

/** The file says what produced it in a form that is not ours. Exits with 65. */
export class ProvenanceInvalid extends Schema.TaggedError<ProvenanceInvalid>()("ProvenanceInvalid", {
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `its metadata "${PROVENANCE}" is invalid: ${this.problem}; remove that key or write the file again`
  }
}

/** The index of a file in shards does not say where tensors are. Exits with 65. */
export class IndexInvalid extends Schema.TaggedError<IndexInvalid>()("IndexInvalid", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the index of its shards is invalid: ${this.problem}; copy the index and all of its shards again`
  }
}

/** The file is of no kind that weights are read from. Exits with 65. */
export class Unrecognised extends Schema.TaggedError<Unrecognised>()("Unrecognised", {}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return "the file begins neither with a header of safetensors nor as the archive of a checkpoint of PyTorch, so it is " +
      "no file of weights, or a damaged one"
  }
}

/** Tensors hold NaN or infinity. Exits with 65. */
export class NotFinite extends Schema.TaggedError<NotFinite>()("NotFinite", {
  /** The first of them and what stands in it. */
  tensor: Schema.String,
  found: NonFiniteValue.NonFiniteValue,
  /** How many others do. */
  others: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const { found: { index, value }, others, tensor } = this
    const more = others === 0 ? "" : `, as do ${others} other tensors`
    return `tensor ${tensor} holds ${value} (element ${index})${more}: nothing can be computed from it; use weights of ` +
      "before the training diverged, or copy the file again"
  }
}

/** Why weights cannot be used. The exit code is that of the reason. */
export class WeightsError extends Schema.TaggedError<WeightsError>()("WeightsError", {
  /** The file, or the name of what the weights were for. */
  source: Schema.String,
  reason: Schema.Union([
    Mismatch,
    ProvenanceInvalid,
    IndexInvalid,
    Unrecognised,
    NotFinite,
    Files.FileError,
    Safetensors.SafetensorsError,
    Pth.PthError,
    Pickle.PickleError,
    Naming.NamingError
  ]),
  /** What the tensors look like, where that is known; see `KnownNetworks.describe`. */
  nearest: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  override get message() {
    const nearest = this.nearest === undefined ? "" : `. The tensors look like ${this.nearest}`
    return `weights ${this.source}: ${this.reason.message}${nearest}`
  }
}

/** Says of failures what the tensors look like. */
export const describing = (tensors: Tensors) =>
  Effect.mapError((error: WeightsError) => {
    const shapes = Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]))
    const nearest = KnownNetworks.describe(shapes)
    return nearest === undefined ? error : new WeightsError({ source: error.source, reason: error.reason, nearest })
  })

const PROVENANCE = "patchword.provenance"

const ProvenanceText = Json.text(Provenance)

/** Weights of the given arrays. */
export const make = (tensors: Tensors, provenance?: Provenance): Weights => ({
  tensors,
  provenance: Option.fromNullishOr(provenance)
})

/** The arrays of a nested record under their dot-joined paths, which are the official names. */
export const flatten = (record: object): Tensors => Object.fromEntries(Tree.leaves<HostTensor.Any>(record))

/**
 * Weights under other names: `name` returns the new name, or `undefined` to leave the tensor out. Takes a backbone out
 * of a pretrained network, or translates foreign names.
 */
export const rename = (weights: Weights, name: (name: string) => string | undefined): Weights => ({
  ...weights,
  tensors: Object.fromEntries(
    Object.entries(weights.tensors).flatMap(([old, tensor]) => {
      const next = name(old)
      return next === undefined ? [] : [[next, tensor]]
    })
  )
})

/** Fails where a tensor holds NaN or infinity. */
export const finite = (tensors: Tensors): Effect.Effect<void, NotFinite> => {
  const [first, ...others] = Object.entries(tensors).flatMap(([tensor, { data }]) => {
    const found = data instanceof Float32Array ? NonFiniteValue.first(data) : undefined
    return found === undefined ? [] : [{ tensor, found }]
  })
  return first === undefined ? Effect.void : Effect.fail(new NotFinite({ ...first, others: others.length }))
}

const Index = Json.text(Schema.Struct({ weight_map: Schema.Record(Schema.String, Schema.String) }))

const INDEX = ".index.json"

const readOne = Effect.fnUntraced(function*(file: string): Effect.fn.Return<
  Safetensors.Decoded,
  WeightsError["reason"],
  FileSystem.FileSystem | Path.Path
> {
  const { fs, readTensors, regular } = yield* Files.make
  yield* regular(file)
  const { beginning, checkpoint } = yield* Effect.gen(function*() {
    const handle = yield* fs.open(file)
    const checkpoint = (yield* pth.recognise(handle)) ? yield* pth.read(handle) : undefined
    return { checkpoint, beginning: yield* readAt(handle, 0, Safetensors.BEGINNING) }
  }).pipe(Effect.scoped, Files.onFailure(file))
  if (checkpoint !== undefined) return { metadata: {}, tensors: checkpoint }
  // Of a copy that has hardly begun, its name says what it is.
  const meant = Safetensors.recognise(beginning) ||
    (beginning.length < Safetensors.BEGINNING && file.endsWith(".safetensors"))
  return yield* Effect.catchTag(
    readTensors(file),
    "SafetensorsError",
    (error) => Effect.fail(meant ? error : new Unrecognised())
  )
})

const readShards = Effect.fnUntraced(function*(file: string): Effect.fn.Return<
  Safetensors.Decoded,
  WeightsError["reason"],
  FileSystem.FileSystem | Path.Path
> {
  const { path, readText } = yield* Files.make
  const invalid = (problem: string) => new IndexInvalid({ problem })
  const { weight_map } = yield* Schema.decodeEffect(Index)(yield* readText(file)).pipe(
    Effect.mapError((error) => invalid(error.message))
  )
  const names = [...new Set(Object.values(weight_map))]
  const outside = names.find((name) => path.basename(name) !== name || name === "..")
  if (outside !== undefined) return yield* invalid(`the shard ${outside} is not beside it`)
  const tensors: Array<readonly [string, HostTensor.Any]> = []
  for (const name of names) {
    const shard = yield* readOne(path.join(path.dirname(file), name))
    for (const [tensor, place] of Object.entries(weight_map)) {
      if (place !== name) continue
      const found = Object.hasOwn(shard.tensors, tensor) ? shard.tensors[tensor] : undefined
      if (found === undefined) return yield* invalid(`${tensor} should be in ${name}, but is not`)
      tensors.push([tensor, found])
    }
  }
  return { metadata: {}, tensors: Object.fromEntries(tensors) }
})

/** The same weights under official names; see {@link read}. */
export const official = (
  weights: Weights,
  network: Naming.Network,
  { naming, source = "given" }: { readonly naming?: Naming.Naming; readonly source?: string } = {}
): Effect.Effect<Weights, WeightsError> =>
  Effect.fromResult(Naming.official(weights.tensors, network, naming)).pipe(
    Effect.mapBoth({
      onFailure: (reason) => new WeightsError({ source, reason }),
      onSuccess: (tensors) => ({ ...weights, tensors })
    }),
    describing(weights.tensors)
  )

/**
 * Reads a safetensors file, the index of one in shards (`….index.json`), or a checkpoint or a compiled program of PyTorch,
 * whichever it is. F16, BF16 and F64 tensors become float32, I64 and U8 become int32. Nothing that a checkpoint may hold
 * besides tensors is executed.
 *
 * Told the network, it translates the names that timm or Hugging Face give its tensors into the official ones, whoever
 * named them; `naming` says who, where the names alone do not. Told no network, it leaves names as they are.
 *
 * Fails with 66 when there is no such file, with 65 when it is damaged, holds other things than tensors, is of no naming
 * known for the network, or when a tensor that is taken holds NaN or infinity, with 74 when it cannot be read.
 */
export const read: (
  file: string,
  options?: {
    /** Whose tensors they are, or who that is by their names. */
    readonly network?: Naming.Network | ((names: ReadonlyArray<string>) => Naming.Network)
    readonly naming?: Naming.Naming
    /** Whether tensors may hold NaN and infinity, as for a look at them; default `false`. */
    readonly anyNumber?: boolean
  }
) => Effect.Effect<Weights, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn("Weights.read")(
  function*(file, { anyNumber = false, naming, network } = {}) {
    const failed = Effect.mapError((reason: WeightsError["reason"]) => new WeightsError({ source: file, reason }))
    const { metadata, tensors } = yield* failed(file.endsWith(INDEX) ? readShards(file) : readOne(file))
    const text = metadata[PROVENANCE]
    const provenance = text === undefined
      ? undefined
      : yield* Schema.decodeEffect(ProvenanceText)(text).pipe(
        Effect.mapError((error) => new ProvenanceInvalid({ problem: error.message })),
        failed
      )
    const named = make(tensors, provenance)
    const whose = typeof network === "function" ? network(Object.keys(tensors)) : network
    const weights = whose === undefined
      ? named
      : yield* official(named, whose, { source: file, ...(naming !== undefined && { naming }) })
    if (!anyNumber) yield* failed(finite(weights.tensors))
    return weights
  }
)

const provenanceOf = (metadata: Readonly<Record<string, string>>) => {
  const text = metadata[PROVENANCE]
  return text === undefined
    ? Effect.succeedNone
    : Schema.decodeEffect(ProvenanceText)(text).pipe(
      Effect.mapError((error) => new ProvenanceInvalid({ problem: error.message })),
      Effect.asSome
    )
}

/** What produced a safetensors file, as its header says; fails as {@link read} does. */
export const readProvenance: (
  file: string
) => Effect.Effect<Option.Option<Provenance>, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "Weights.readProvenance"
)(
  function*(file) {
    const { readHeader } = yield* Files.make
    return yield* provenanceOf((yield* readHeader(file)).metadata)
  },
  (self, file) => Effect.mapError(self, (reason) => new WeightsError({ source: file, reason }))
)

/** Under whose names weights are written, and of which network they are. */
export interface Names {
  readonly naming: Naming.Naming
  readonly network: Naming.Network
}

/**
 * Writes a safetensors file atomically, under official names or those that `names` asks for. Equal weights give equal
 * bytes. Fails with 65 when a tensor holds NaN or infinity, or when the network has no place for one under those names,
 * with 74 when the file cannot be written.
 */
export const write: (
  file: string,
  weights: Weights,
  names?: Names
) => Effect.Effect<void, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn("Weights.write")(
  function*(file, weights, names) {
    const files = yield* Files.make
    const { tensors } = weights
    yield* finite(tensors)
    const named = names === undefined
      ? tensors
      : yield* Effect.fromResult(Naming.to(names.naming, tensors, names.network))
    yield* files.write(file, Safetensors.encodeParts(named, metadataOf(weights)))
  },
  (self, file) => Effect.mapError(self, (reason) => new WeightsError({ source: file, reason }))
)

/** Writes the batch of a failed step as {@link write} writes weights; NaN and infinity, which it may have failed for, too. */
export const writeBatch: (
  file: string,
  batch: Weights
) => Effect.Effect<void, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn("Weights.writeBatch")(
  function*(file, batch) {
    yield* (yield* Files.make).write(file, Safetensors.encodeParts(batch.tensors, metadataOf(batch)))
  },
  (self, file) => Effect.mapError(self, (reason) => new WeightsError({ source: file, reason }))
)

// Loaders of PyTorch ask for the key `format`.
const metadataOf = ({ provenance }: Weights): Readonly<Record<string, string>> => ({
  format: "pt",
  ...Option.match(provenance, {
    onNone: () => ({}),
    onSome: (known) => ({ [PROVENANCE]: Schema.encodeSync(ProvenanceText)(known) })
  })
})

/** A record of specifications with every leaf replaced by a host array of its shape and element type. */
export type Conformed<T> = T extends
  { readonly shape: infer S extends Shape; readonly dtype: infer D extends HostTensor.DType }
  ? HostTensor.HostTensor<S, D>
  : { readonly [K in keyof T]: Conformed<T[K]> }

const describe = (leaf: Tree.Leaf): string => `${ShapeError.show(leaf.shape)} ${leaf.dtype}`

/**
 * A record of the shapes that `spec` gives, filled from the tensors with the names of its paths. The edge at which
 * arrays of unknown shape become typed ones.
 *
 * Fails with every missing, unexpected and misshaped tensor at once.
 */
export const conform = <T extends object>(
  spec: T,
  { tensors }: Weights,
  source = "given"
): Result.Result<Conformed<T>, WeightsError> => {
  const expected = new Map(Tree.leaves(spec))
  const given = new Map(Object.entries(tensors))
  const pairs = [...expected].map(([name, leaf]) => ({ name, leaf, tensor: given.get(name) }))
  const mismatch = new Mismatch({
    missing: pairs.filter(({ tensor }) => tensor === undefined)
      .map(({ leaf, name }) => ({ name, expected: describe(leaf) })),
    unexpected: [...given].filter(([name]) => !expected.has(name))
      .map(([name, tensor]) => ({ name, given: describe(tensor) })),
    misshaped: pairs.flatMap(({ leaf, name, tensor }) =>
      tensor === undefined || describe(tensor) === describe(leaf)
        ? []
        : [{ name, expected: describe(leaf), given: describe(tensor) }]
    )
  })
  return mismatch.missing.length + mismatch.unexpected.length + mismatch.misshaped.length > 0
    ? Result.fail(new WeightsError({ source, reason: mismatch }))
    : Result.succeed(Tree.map<Conformed<T>>(spec, (_, name) => given.get(name)))
}
