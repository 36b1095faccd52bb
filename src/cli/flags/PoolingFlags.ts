/** Which vector of a network stands for an image. */
import { Flag } from "effect/cli"
import * as Described from "./Described.ts"

/** Which features are asked for. */
export const flags = {
  pooling: Flag.Literals("pooling", ["mean", "cls"]).pipe(
    Described.withDefault("features are the mean of the patch tokens, or the class token", "mean")
  ),
  finalNorm: Described.flag("final-norm", "apply the last layer norm; --no-final-norm leaves it out", true)
}
