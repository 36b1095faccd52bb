import { Effect } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { all } from "./webPrograms.ts"

const found = await Effect.runPromise(Effect.provide(all, Engine.layerOnnx({ provider: "webgpu" })))
process.stdout.write(JSON.stringify(found))
