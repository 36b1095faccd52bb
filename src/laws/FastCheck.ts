/** `fast-check`, which the project of the tests installs. A static import could not say so where it is missing. */
import type FastCheck from "fast-check"

/** The properties and values of `fast-check`. */
export const fc: typeof FastCheck = await import("fast-check").then(
  (found) => found.default,
  (cause: unknown) => {
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
    throw isMissing ? new Error("patchword/laws needs fast-check: npm install --save-dev fast-check") : cause
  }
)
