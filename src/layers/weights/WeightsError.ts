/** Why weights cannot be used. */
import { Runtime, Schema } from "effect"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"
import * as Naming from "../../domain/weights/Naming.ts"
import * as Pickle from "../../domain/weights/Pickle.ts"
import * as Pth from "../../domain/weights/Pth.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../files/Files.ts"
import { ProvenanceInvalid } from "./Provenance.ts"

const Described = Schema.Struct({ name: Schema.String, expected: Schema.String, given: Schema.String })

/** So many tensors are named. */
const NAMED = 3

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
      `${names.length} ${what}: ${names.slice(0, NAMED).join(", ")}${names.length > NAMED ? ", …" : ""}`
    )
    return `the tensors are not those of the network (${list.join("; ")}); use weights of the same architecture`
  }
}

/** The index of a file in shards does not say where tensors are. Exits with 65. */
export class IndexInvalid extends Schema.TaggedError<IndexInvalid>()("IndexInvalid", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the index of its shards is invalid: ${this.problem}; copy it and all of them again`
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
    const { nearest, reason, source } = this
    if (reason._tag === "FileError") return reason.message
    return `weights ${source}: ${reason.message}${nearest === undefined ? "" : `. The tensors look like ${nearest}`}`
  }
}
