/** What produced a set of weights, and how a safetensors file says it. */
import { Effect, Option, Runtime, Schema } from "effect"
import * as Model from "../../domain/config/Model.ts"
import * as Holdout from "../../domain/evaluation/Holdout.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Json from "../../domain/values/Json.ts"
import { version } from "../../domain/values/Version.ts"

/** What produced a set of weights. */
export class Provenance extends Schema.Class<Provenance>("patchword/layers/Weights/Provenance")({
  /** The stage that trained them, as `pretrain`. */
  stage: Schema.String,
  configDigest: Schema.String,
  dataDigest: Schema.String,
  /** Which part of the split was held out from training, where one was. */
  holdout: Schema.optionalKey(Holdout.Holdout),
  /** The digest of the teacher's or the tokenizer's weights, where there was one. */
  teacherDigest: Schema.optionalKey(Schema.String),
  /** The teacher's name, where there was one. */
  teacher: Schema.optionalKey(Schema.String),
  /** What the weights are, so that their network can be built again. */
  model: Schema.optionalKey(Model.Model),
  /** What they are instead, where a stage of somebody else trained them. */
  custom: Schema.optionalKey(Model.Custom),
  /** How many steps were taken. */
  step: Schema.Int,
  /** What they were computed on; absent in files of earlier versions. */
  computedOn: Schema.optionalKey(ComputedOn.History),
  /** The state that its stage went on from, where it did. */
  continuedFrom: Schema.optionalKey(ContinuedFrom.ContinuedFrom),
  seed: Schema.Int,
  /** The version of patchword. */
  version: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(version)))
}) {}

const KEY = "patchword.provenance"

const Text = Json.text(Provenance)

/** The file says what produced it in a form that is not ours. Exits with 65. */
export class ProvenanceInvalid extends Schema.TaggedError<ProvenanceInvalid>()("ProvenanceInvalid", {
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `its metadata "${KEY}" is invalid: ${this.problem}; remove that key or write the file again`
  }
}

/** What the metadata of a file says, if it does. */
export const fromMetadata = (metadata: Readonly<Record<string, string>>) => {
  const text = metadata[KEY]
  return text === undefined
    ? Effect.succeedNone
    : Schema.decodeEffect(Text)(text).pipe(
      Effect.mapError((error) => new ProvenanceInvalid({ problem: error.message })),
      Effect.asSome
    )
}

/** What the metadata of a file is to say. */
export const toMetadata = Option.match({
  onNone: (): Readonly<Record<string, string>> => ({}),
  onSome: (known: Provenance) => ({ [KEY]: Schema.encodeSync(Text)(known) })
})
