/**
 * Weights as a value: arrays under their official state-dict names, with their provenance. Stages take weights and return
 * weights. Files of weights are safetensors under the names of the official code, of timm or of Hugging Face. The official
 * checkpoints of PyTorch can be read too.
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
import { Effect, type FileSystem, Option, type Path, Result } from "effect"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"
import type { Pausable } from "../../domain/values/Pausable.ts"
import * as KnownNetworks from "../../domain/weights/KnownNetworks.ts"
import * as Naming from "../../domain/weights/Naming.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Files from "../files/Files.ts"
import * as Pauses from "../machine/Pauses.ts"
import { fromMetadata, type Provenance, toMetadata } from "./Provenance.ts"
import { Mismatch, NotFinite, WeightsError } from "./WeightsError.ts"
import * as WeightsFile from "./WeightsFile.ts"

export { Provenance, ProvenanceInvalid } from "./Provenance.ts"
export { IndexInvalid, Mismatch, NotFinite, Unrecognised, WeightsError } from "./WeightsError.ts"

/** Arrays by name: those of a flat record, of a checkpoint or of a file. */
export type Tensors = Readonly<Record<string, HostTensor.Any>>

/** Arrays under their official names, with their provenance. Files of other projects have no provenance. */
export interface Weights {
  readonly tensors: Tensors
  readonly provenance: Option.Option<Provenance>
}

/** Adds to errors the known network that the tensors look like. */
export const describing = (tensors: Tensors) =>
  Effect.mapError((error: WeightsError) => {
    const shapes = Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]))
    const nearest = KnownNetworks.describe(shapes)
    return nearest === undefined ? error : new WeightsError({ source: error.source, reason: error.reason, nearest })
  })

/** Makes weights of the given arrays. */
export const make = (tensors: Tensors, provenance?: Provenance): Weights => ({
  tensors,
  provenance: Option.fromNullishOr(provenance)
})

/** So many bytes take about a millisecond. */
const AT_ONCE = 2 ** 20

/** Returns the SHA-256 of the arrays with their names. Equal arrays have equal digests. */
export const digest = (tensors: Tensors): Effect.Effect<string> =>
  Effect.suspend(() => Pauses.during(digesting(tensors)))

/** Computes {@link digest}, with pauses. */
export function* digesting(tensors: Tensors): Pausable<string> {
  const hash = Files.hasher()
  for (const part of Safetensors.encodeParts(tensors)) {
    for (let from = 0; from < part.length; from += AT_ONCE) {
      hash.update(part.subarray(from, from + AT_ONCE))
      yield
    }
  }
  return hash.digest("hex")
}

/** Returns the arrays of a nested record under their dot-joined paths, which are the official names. */
export const flatten = (record: object): Tensors => Object.fromEntries(Tree.leaves<HostTensor.Any>(record))

/**
 * Renames tensors. `name` returns the new name, or `undefined` to leave the tensor out. It can extract a backbone from a
 * pretrained network, or translate the names of other projects.
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

/** Fails with `NotFinite` if a tensor holds NaN or infinity. */
export const finite = Effect.fnUntraced(function*(tensors: Tensors) {
  const wrong: Array<Pick<NotFinite, "tensor" | "found">> = []
  for (const [tensor, { data }] of Object.entries(tensors)) {
    yield* Pauses.pause
    const found = data instanceof Float32Array ? NonFiniteValue.first(data) : undefined
    if (found !== undefined) wrong.push({ tensor, found })
  }
  const [first, ...others] = wrong
  if (first !== undefined) return yield* new NotFinite({ ...first, others: others.length })
})

/** Returns the same weights under official names; see {@link read}. */
export const official = (
  weights: Weights,
  network: Naming.Network,
  options: { readonly naming?: Naming.Naming; readonly source?: string } = {}
): Effect.Effect<Weights, WeightsError> =>
  Effect.fromResult(Naming.official(weights.tensors, network, options.naming)).pipe(
    Effect.mapBoth({
      onFailure: (reason) => new WeightsError({ source: options.source ?? "given", reason }),
      onSuccess: (tensors) => ({ ...weights, tensors })
    }),
    describing(weights.tensors)
  )

/**
 * Reads weights from a file: safetensors, the index of safetensors in shards (`….index.json`), or a checkpoint or a
 * compiled program of PyTorch. F16, BF16 and F64 tensors become float32; I64 and U8 become int32. Code in a checkpoint is
 * never executed.
 *
 * With `network`, names of timm and Hugging Face are translated into the official ones. `naming` states whose names they
 * are, if the names alone do not show it. Without `network`, names stay as they are.
 *
 * Fails with a `WeightsError`. Its reason is `FileError` if the file is missing or cannot be read, and `NotFinite` if a
 * tensor that is used holds NaN or infinity. Other reasons mean that the file is damaged, holds other things than tensors,
 * or has names that are not known for the network.
 */
export const read: (
  file: string,
  options?: {
    /** The network that the tensors belong to, or a function that determines it from their names. */
    readonly network?: Naming.Network | ((names: ReadonlyArray<string>) => Naming.Network)
    readonly naming?: Naming.Naming
    /** Allows NaN and infinity in tensors, for inspection; default `false`. */
    readonly anyNumber?: boolean
  }
) => Effect.Effect<Weights, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn("patchword.Weights.read")(
  function*(file, { anyNumber = false, naming, network } = {}) {
    yield* Effect.annotateCurrentSpan("file.path", file)
    const failed = Effect.mapError((reason: WeightsError["reason"]) => new WeightsError({ source: file, reason }))
    const { metadata, tensors } = yield* failed(WeightsFile.read(file))
    const provenance = yield* failed(fromMetadata(metadata))
    const named: Weights = { tensors, provenance }
    const whose = typeof network === "function" ? network(Object.keys(tensors)) : network
    const weights = whose === undefined
      ? named
      : yield* official(named, whose, { source: file, ...(naming !== undefined && { naming }) })
    if (!anyNumber) yield* failed(finite(weights.tensors))
    return weights
  }
)

/**
 * Lists the tensors of a file, with their element types in the file and their shapes, without reading them. Fails as {@link
 * read} does for a file that is damaged.
 */
export const list: (file: string) => Effect.Effect<
  { readonly tensors: Readonly<Record<string, WeightsFile.Listed>>; readonly provenance: Option.Option<Provenance> },
  WeightsError,
  FileSystem.FileSystem | Path.Path
> = Effect.fn("patchword.Weights.list")(
  function*(file) {
    yield* Effect.annotateCurrentSpan("file.path", file)
    const { metadata, tensors } = yield* WeightsFile.list(file)
    return { tensors, provenance: yield* fromMetadata(metadata) }
  },
  (self, file) => Effect.mapError(self, (reason) => new WeightsError({ source: file, reason }))
)

/** Reads the provenance from the header of a safetensors file. Fails as {@link read} does. */
export const readProvenance: (
  file: string
) => Effect.Effect<Option.Option<Provenance>, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.Weights.readProvenance"
)(
  function*(file) {
    yield* Effect.annotateCurrentSpan("file.path", file)
    const { readHeader } = yield* Files.make
    return yield* fromMetadata((yield* readHeader(file)).metadata)
  },
  (self, file) => Effect.mapError(self, (reason) => new WeightsError({ source: file, reason }))
)

/** Naming scheme of written tensors, and the network that they belong to. */
export interface Names {
  readonly naming: Naming.Naming
  readonly network: Naming.Network
}

/**
 * Writes a safetensors file atomically, under official names or under those of `names`. Equal weights give equal bytes.
 *
 * Fails with
 * - `NotFinite` if a tensor holds NaN or infinity,
 * - `NamingError` if the naming scheme has no name for a tensor of the network,
 * - `FileError` if the file cannot be written.
 */
export const write: (
  file: string,
  weights: Weights,
  names?: Names
) => Effect.Effect<void, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn("patchword.Weights.write")(
  function*(file, weights, names) {
    yield* Effect.annotateCurrentSpan("file.path", file)
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

/**
 * Writes the batch of a failed step as {@link write} writes weights. It may contain NaN and infinity, since they can be the
 * cause of the failure.
 */
export const writeBatch: (
  file: string,
  batch: Weights
) => Effect.Effect<void, WeightsError, FileSystem.FileSystem | Path.Path> = Effect.fn("patchword.Weights.writeBatch")(
  function*(file, batch) {
    yield* Effect.annotateCurrentSpan("file.path", file)
    yield* (yield* Files.make).write(file, Safetensors.encodeParts(batch.tensors, metadataOf(batch)))
  },
  (self, file) => Effect.mapError(self, (reason) => new WeightsError({ source: file, reason }))
)

// Loaders of PyTorch require the key `format`.
const metadataOf = ({ provenance }: Weights): Readonly<Record<string, string>> => ({
  format: "pt",
  ...toMetadata(provenance)
})

/** A record of specifications in which each leaf is replaced by a host array of its shape and element type. */
export type Conformed<T> = T extends
  { readonly shape: infer S extends Shape; readonly dtype: infer D extends HostTensor.DType }
  ? HostTensor.HostTensor<S, D>
  : { readonly [K in keyof T]: Conformed<T[K]> }

const describe = (leaf: Tree.Leaf): string => `${ShapeError.show(leaf.shape)} ${leaf.dtype}`

/**
 * Fills a record of the shapes in `spec` with the tensors that have the names of its paths. Here, arrays of unknown shape
 * become typed ones.
 *
 * Fails with `Mismatch`, which lists every missing, unexpected and misshaped tensor at once.
 */
export const conform = <T extends object>(
  spec: T,
  weights: Weights,
  source = "given"
): Result.Result<Conformed<T>, WeightsError> => {
  const expected = new Map(Tree.leaves(spec))
  const given = new Map(Object.entries(weights.tensors))
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
