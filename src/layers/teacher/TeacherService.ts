/** The service of a teacher. */
import { Context, type Effect } from "effect"
import type * as ComputedOn from "../../domain/values/ComputedOn.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { TeacherError } from "./TeacherError.ts"

/** A source of patch features. */
export class Teacher extends Context.Service<Teacher, {
  readonly name: string
  /** Number of features per patch. */
  readonly width: number
  /** SHA-256 of everything that the features depend on. */
  readonly digest: string
  /** The engine that computes the features, if one does. */
  readonly computedOn?: ComputedOn.ComputedOn
  /**
   * Computes features `[B, N, width]` of images `[B, 3, H, W]` with values from 0 to 1; patches row by row. The tokenizer
   * compares only the directions of these vectors, so their lengths do not matter. `nameOf` gives the names of images for
   * errors.
   */
  readonly features: <B extends number, H extends number, W extends number>(
    images: HostTensor.HostTensor<[B, 3, H, W], "float32">,
    nameOf?: (image: number) => string
  ) => Effect.Effect<HostTensor.HostTensor<[B, number, number], "float32">, TeacherError>
}>()("patchword/layers/Teacher") {}
