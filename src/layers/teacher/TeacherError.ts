/** Errors of teachers. */
import { Effect, Runtime, Schema } from "effect"
import * as FeatureDirections from "../../domain/method/FeatureDirections.ts"
import * as OrientedGradients from "../../domain/method/OrientedGradients.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { EngineError, Reason } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import { ImagesError } from "../images/reading/ImagesError.ts"
import * as Weights from "../weights/Weights.ts"
import { FeatureCacheError } from "./FeatureCacheError.ts"

/** The teacher does not support images of this size. */
export class WrongImages extends TaggedError<WrongImages>()("WrongImages", {
  given: Schema.String,
  expected: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the images have the shape ${this.given}, but ${this.expected} is expected`
  }
  get remedy() {
    return "change imageSize or patchSize"
  }
}

/** The sizes of patches, images and components do not fit together. */
export class WrongMeasures extends TaggedError<WrongMeasures>()("WrongMeasures", {
  patchSize: Schema.Finite,
  imageSize: Schema.Finite,
  components: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `patchSize is ${this.patchSize}, imageSize ${this.imageSize} and components ${this.components}, which do not fit`
  }
  get remedy() {
    return `choose an even patchSize, an imageSize that is a multiple of it, and components from 1 to ${OrientedGradients.WIDTH}`
  }
}

/** The inputs and outputs of the model are not as the options say. */
export class WrongModel extends TaggedError<WrongModel>()("WrongModel", {
  problem: Schema.String,
  inputs: Schema.Array(Schema.String),
  outputs: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.problem}. The model has the inputs ${this.inputs.join(", ")} and the outputs ${
      this.outputs.join(", ")
    }`
  }
  get remedy() {
    return "name an output that fits by --teacher onnx:FILE#OUTPUT (in code output), or convert the model"
  }
}

/** The file is not a valid model, or refers to a file outside of its folder. */
export class ModelInvalid extends TaggedError<ModelInvalid>()("ModelInvalid", {
  problem: Schema.String,
  /** The action that helps. */
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the model cannot be used: ${this.problem}`
  }
}

/** A teacher cannot give features. The exit code is that of the reason. */
export class TeacherError extends TaggedError<TeacherError>()("TeacherError", {
  teacher: Schema.String,
  reason: Schema.Union([
    WrongImages,
    WrongMeasures,
    WrongModel,
    ModelInvalid,
    ImagesError,
    ...Reason.members,
    Weights.WeightsError,
    FeatureCacheError,
    FeatureDirections.NoDirection,
    Files.FileError
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const { reason, teacher } = this
    // The images are at fault, not the teacher that looks at them.
    return reason._tag === "ImagesError" ? reason.finding : `teacher ${teacher}: ${reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Adds the teacher's name to errors. */
export const within = (teacher: string) =>
  Effect.mapError((error: TeacherError["reason"] | EngineError | TeacherError) =>
    error instanceof TeacherError
      ? error
      : new TeacherError({ teacher, reason: error instanceof EngineError ? error.reason : error })
  )
