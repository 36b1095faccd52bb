/** Which vector of a network stands for an image. */
import { Flag } from "effect/cli"

/** Which features are asked for. */
export const flags = {
  pooling: Flag.Literals("pooling", ["mean", "cls"]).pipe(
    Flag.withDescription("of features: the mean of the patches (the default), or the class token"),
    Flag.withDefault("mean" as const)
  ),
  finalNorm: Flag.Boolean("final-norm").pipe(
    Flag.withDescription("of features: through the network's last norm; the default"),
    Flag.withDefault(true)
  )
}
