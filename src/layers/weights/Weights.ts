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
import { Effect, type FileSystem, Option, type Path, Result } from "effect"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"
import * as KnownNetworks from "../../domain/weights/KnownNetworks.ts"
import * as Naming from "../../domain/weights/Naming.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Files from "../files/Files.ts"
import { fromMetadata, type Provenance, toMetadata } from "./Provenance.ts"
import { Mismatch, NotFinite, WeightsError } from "./WeightsError.ts"
import * as WeightsFile from "./WeightsFile.ts"

export { Provenance, ProvenanceInvalid } from "./Provenance.ts"
export { IndexInvalid, Mismatch, NotFinite, Unrecognised, WeightsError } from "./WeightsError.ts"

/** Arrays by name. The arrays of a flat record, of a checkpoint, of a file. */
export type Tensors = Readonly<Record<string, HostTensor.Any>>

/** Arrays under their official names with their provenance; none for files from elsewhere. */
export interface Weights {
  readonly tensors: Tensors
  readonly provenance: Option.Option<Provenance>
}

/** Says of failures what the tensors look like. */
export const describing = (tensors: Tensors) =>
  Effect.mapError((error: WeightsError) => {
    const shapes = Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]))
    const nearest = KnownNetworks.describe(shapes)
    return nearest === undefined ? error : new WeightsError({ source: error.source, reason: error.reason, nearest })
  })

/** Weights of the given arrays. */
export const make = (tensors: Tensors, provenance?: Provenance): Weights => ({
  tensors,
  provenance: Option.fromNullishOr(provenance)
})

/** A short name of exactly these arrays. */
export const digest = (tensors: Tensors): string => Files.sha256(Safetensors.encode(tensors))

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

/** The same weights under official names; see {@link read}. */
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

/** What produced a safetensors file, as its header says; fails as {@link read} does. */
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

/** Writes the batch of a failed step as {@link write} writes weights; NaN and infinity, which it may have failed for, too. */
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

// Loaders of PyTorch ask for the key `format`.
const metadataOf = ({ provenance }: Weights): Readonly<Record<string, string>> => ({
  format: "pt",
  ...toMetadata(provenance)
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
