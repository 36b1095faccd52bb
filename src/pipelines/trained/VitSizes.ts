/** Converts the plain numbers of a configuration to typed dimensions of networks. */
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as RelativePosition from "../../domain/method/RelativePosition.ts"
import * as Vit from "../../nn/blocks/Vit.ts"
import * as Dim from "../../shapes/Dim.ts"

/** Returns the sizes of a vision transformer. */
export const plain = (config: VitConfig) => ({
  ...Vit.dims({
    image: Dim.named("image", config.imageSize),
    patch: Dim.named("patch", config.patchSize),
    width: Dim.named("width", config.width),
    heads: Dim.named("heads", config.heads)
  }),
  hidden: Dim.named("hidden", config.hidden),
  depth: config.depth,
  qkvBias: config.qkvBias
})

/** Returns the sizes of a vision transformer with positions, absolute or relative, and layer scale, as configured. */
export const positioned = (config: VitConfig) => ({
  ...plain(config),
  relativeRows: Dim.named("relativeRows", RelativePosition.rows(config.grid)),
  absolutePositions: config.absolutePositions,
  relativePositions: config.relativePositions,
  layerScale: config.layerScale,
  epsilon: config.normEpsilon
})
