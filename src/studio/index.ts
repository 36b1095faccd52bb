/** The studio: a local web page that shows runs while they train and afterwards, and the same pages as one file. */
import "../RequireNode.ts"
export * as Exported from "./Exported.ts"
export { ListenError } from "./ListenError.ts"
export * as Access from "./server/Access.ts"
export * as RunFiles from "./server/RunFiles.ts"
export * as Studio from "./Studio.ts"
