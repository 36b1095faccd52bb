/** The provenance of weights, and its form in the metadata of a safetensors file. */
import { Effect, Option, Runtime, Schema } from "effect"
import * as Model from "../../domain/config/Model.ts"
import * as Holdout from "../../domain/evaluation/Holdout.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { version } from "../../domain/values/Version.ts"

/** The provenance of weights: the run and the settings that produced them. */
export class Provenance extends Schema.Class<Provenance>("patchword/layers/Weights/Provenance")({
  /** The stage that trained them, for example `pretrain`. */
  stage: Schema.String,
  configDigest: Schema.String,
  dataDigest: Schema.String,
  /** The part of the split that was held out from training, if there was one. */
  holdout: Schema.optionalKey(Holdout.Drawn),
  /** Digest of the weights of the teacher or the tokenizer, if there was one. */
  teacherDigest: Schema.optionalKey(Schema.String),
  /** Name of the teacher, if there was one. */
  teacher: Schema.optionalKey(Schema.String),
  /** Architecture of the teacher, in the batch of a failed step that computes with it. */
  teacherModel: Schema.optionalKey(Model.Model),
  /** Architecture of the network, so that it can be built again. */
  model: Schema.optionalKey(Model.Model),
  /** Description of the weights instead of `model`, for a user's own stage. */
  custom: Schema.optionalKey(Model.Custom),
  /** Number of training steps. */
  step: Schema.Int,
  /** The engines that computed the weights; absent in files of earlier versions. */
  computedOn: Schema.optionalKey(ComputedOn.History),
  /** The state that the stage continued from, if it did. */
  continuedFrom: Schema.optionalKey(ContinuedFrom.ContinuedFrom),
  seed: Schema.Int,
  /** Version of patchword. */
  version: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(version)))
}) {}

const KEY = "patchword.provenance"

const Text = Json.text(Provenance)

/** The metadata of the file contains a provenance of another form. */
export class ProvenanceInvalid extends TaggedError<ProvenanceInvalid>()("ProvenanceInvalid", {
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `its metadata "${KEY}" is invalid: ${this.problem}`
  }
  get remedy() {
    return "remove that key or write the file again"
  }
}

/** Reads the provenance from the metadata of a file, if there is one. */
export const fromMetadata = (metadata: Readonly<Record<string, string>>) => {
  const text = metadata[KEY]
  return text === undefined
    ? Effect.succeedNone
    : Schema.decodeEffect(Text)(text).pipe(
      Effect.mapError((error) => new ProvenanceInvalid({ problem: Explain.of(error) })),
      Effect.asSome
    )
}

/** Writes the provenance as metadata of a file. */
export const toMetadata = Option.match({
  onNone: (): Readonly<Record<string, string>> => ({}),
  onSome: (known: Provenance) => ({ [KEY]: Schema.encodeSync(Text)(known) })
})
