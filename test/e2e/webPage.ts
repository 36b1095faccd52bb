import { Effect } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { all, type Found } from "./webPrograms.ts"

declare global {
  var patchword: (options: Engine.OnnxWebOptions) => Promise<Found>
}

globalThis.patchword = (options) => Effect.runPromise(Effect.provide(all, Engine.layerOnnxWeb(options)))
