/** BEiT v2: visual tokenizers, masked image modelling and their evaluation, as typed, composable Effect programs. */
import "./RequireNode.ts"
export * as compiler from "./compiler/index.ts"
export * as domain from "./domain/index.ts"
export * as layers from "./layers/index.ts"
export * as nn from "./nn/index.ts"
export * as pipelines from "./pipelines/index.ts"
export * as shapes from "./shapes/index.ts"
export * as studio from "./studio/index.ts"
