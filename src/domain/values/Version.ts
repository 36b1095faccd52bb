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

/** The version of this package. The provenance of weights and checkpoints contain it. */
export const version = "0.1.0"
