/** Errors of weights. */
import { Runtime, Schema } from "effect"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Naming from "../../domain/weights/Naming.ts"
import * as Pickle from "../../domain/weights/Pickle.ts"
import * as Pth from "../../domain/weights/Pth.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../files/Files.ts"
import { ProvenanceInvalid } from "./Provenance.ts"

const Described = Schema.Struct({ name: Schema.String, expected: Schema.String, given: Schema.String })

/** Number of tensors that a message lists. */
const NAMED = 3

/** The tensors do not fit the network. */
export class Mismatch extends TaggedError<Mismatch>()("Mismatch", {
  missing: Schema.Array(Schema.Struct({ name: Schema.String, expected: Schema.String })),
  unexpected: Schema.Array(Schema.Struct({ name: Schema.String, given: Schema.String })),
  misshaped: Schema.Array(Described)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
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
    return `the tensors do not fit the network (${list.join("; ")})`
  }
  get remedy() {
    return "use weights of the same architecture"
  }
}

/** The index of a file in shards is invalid. */
export class IndexInvalid extends TaggedError<IndexInvalid>()("IndexInvalid", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the index of its shards is invalid: ${this.problem}`
  }
  get remedy() {
    return "copy the index and all shards again"
  }
}

/** The file has no format that weights are read from. */
export class Unrecognised extends TaggedError<Unrecognised>()("Unrecognised", {}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return "the file is neither safetensors nor a checkpoint of PyTorch, or it is damaged"
  }
  get remedy() {
    return "give a file of weights, or copy it again"
  }
}

/** Tensors hold NaN or infinity. */
export class NotFinite extends TaggedError<NotFinite>()("NotFinite", {
  /** The first such tensor, and the number in it. */
  tensor: Schema.String,
  found: NonFiniteValue.NonFiniteValue,
  /** Number of other such tensors. */
  others: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { found: { index, value }, others, tensor } = this
    const more = others === 0 ? "" : `, as do ${others} other tensors`
    return `tensor ${tensor} holds ${value} (element ${index})${more}: nothing can be computed from it`
  }
  get remedy() {
    return "use weights from before the training diverged, or copy the file again"
  }
}

/** Weights cannot be used. The exit code is that of the reason. */
export class WeightsError extends TaggedError<WeightsError>()("WeightsError", {
  /** The file, or the name of the purpose of the weights. */
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
  /** The known network that the tensors look like, if there is one; see `KnownNetworks.describe`. */
  nearest: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const { nearest, reason, source } = this
    if (reason._tag === "FileError") return reason.finding
    return `weights ${source}: ${reason.finding}${nearest === undefined ? "" : `. The tensors look like ${nearest}`}`
  }
  get remedy() {
    return this.reason.remedy
  }
}
