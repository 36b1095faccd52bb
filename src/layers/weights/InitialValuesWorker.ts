/** A worker thread that draws initial values. */
import * as Parameter from "../../nn/blocks/Parameter.ts"
import * as ThreadAnswer from "../machine/ThreadAnswer.ts"
import type { Share } from "./InitialValues.ts"

ThreadAnswer.give(
  ({ seed, spec }: Share) => Parameter.initialise(spec, seed),
  (values) => Object.values(values).flatMap(({ data: { buffer } }) => (buffer instanceof ArrayBuffer ? buffer : []))
)
