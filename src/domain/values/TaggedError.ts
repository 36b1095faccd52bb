/**
 * The base of all errors. Each has a `finding`, which is what is wrong, and a `remedy`, which is what to do. Its message is both.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Schema } from "effect"
 * import { TaggedError } from "patchword/domain"
 *
 * class FolderFull extends TaggedError.TaggedError<FolderFull>()("FolderFull", { files: Schema.Int }) {
 *   get finding() {
 *     return `the folder holds ${this.files} files`
 *   }
 *   get remedy() {
 *     return "delete some of them"
 *   }
 * }
 * assert.strictEqual(new FolderFull({ files: 3 }).message, "the folder holds 3 files; delete some of them")
 * ```
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

/** The two parts of an error's message. */
export interface Told {
  /** The problem: `photos: the folder holds no usable image`. */
  readonly finding: string
  /** The action that helps: `put images into it`. */
  readonly remedy: string
}

/** Joins the parts of a message. A finding that is a list or ends as a sentence keeps its own line or sentence. */
export const message = (told: Told): string => {
  const { finding, remedy } = told
  if (finding.includes("\n")) return `${finding}\n${remedy}`
  return /[.?]$/.test(finding)
    ? `${finding} ${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}.`
    : `${finding}; ${remedy}`
}

/** Makes the base class of an error, as `Schema.TaggedError` does. The class itself adds `finding` and `remedy`. */
export const TaggedError = <Self>() =>
<Tag extends string, const Fields extends Schema.Struct.Fields>(
  tag: Tag,
  fields: Fields
): Schema.Class<Self, Schema.TaggedStruct<Tag, Fields>, Cause.YieldableError> => {
  const made = Schema.TaggedError<any>()(tag, fields)
  Object.defineProperty(made.prototype, "message", {
    get(this: Told) {
      return message(this)
    }
  })
  return made
}
