/** What a teacher is. */
import { Context, type Effect } from "effect"
import type * as ComputedOn from "../../domain/values/ComputedOn.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { TeacherError } from "./TeacherError.ts"

/** A source of patch features. */
export class Teacher extends Context.Service<Teacher, {
  readonly name: string
  /** Numbers per patch. */
  readonly width: number
  /** A SHA-256 of everything that the features depend on. */
  readonly digest: string
  /** What computes the features, where an engine does. */
  readonly computedOn?: ComputedOn.ComputedOn
  /**
   * Features `[B, N, width]` of images `[B, 3, H, W]` with values from 0 to 1; patches row by row. Their lengths do not
   * matter to the tokenizer, which compares directions. `nameOf` is what errors call the images of the batch.
   */
  readonly features: <B extends number, H extends number, W extends number>(
    images: HostTensor.HostTensor<[B, 3, H, W], "float32">,
    nameOf?: (image: number) => string
  ) => Effect.Effect<HostTensor.HostTensor<[B, number, number], "float32">, TeacherError>
}>()("patchword/layers/Teacher") {}
