/**
 * The version of patchword.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Version } from "patchword/domain"
 *
 * assert.match(Version.version, /^\d+\.\d+\.\d+$/)
 * ```
 */

/** The version of this package, as it stands in the provenance of weights and in checkpoints. */
export const version = "0.1.0"
