import { describe, it, layer as withLayer, type Vitest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { existsSync } from "node:fs"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as OpenVino from "../../../src/layers/engine/OpenVino.ts"
import * as PluginFile from "../../../src/layers/pjrt/PluginFile.ts"

process.env.TF_CPP_MIN_LOG_LEVEL ??= "3"

export interface Candidate {
  readonly name: string
  readonly layer: Layer.Layer<Engine.Engine, Engine.EngineError>
  readonly missing?: string
}

const isInstalled = (name: string): boolean =>
  existsSync(new URL(`../../../node_modules/@tensorflow/${name}/package.json`, import.meta.url))

export const packages = ["tfjs-node-gpu", "tfjs-node"] as const

export const absent = packages.filter((name) => !isInstalled(name))

export const onnx: Candidate = { name: "onnx", layer: Engine.layerOnnx() }

export const web: Candidate = { name: "onnx web", layer: Engine.layerOnnxWeb() }

export const reference: Candidate = { name: "reference", layer: Engine.layerReference }

export const tensorflow: Candidate = {
  name: "tensorflow",
  layer: Engine.layerTensorFlow(),
  ...(absent.length < packages.length ? {} : { missing: "not installed, see patchword setup tensorflow" })
}

export const openvino: Candidate = {
  name: "openvino",
  layer: Engine.layerOpenVino(),
  ...(existsSync(Effect.runSync(OpenVino.cached))
    ? {}
    : { missing: "not set up, see patchword setup openvino" })
}

export const xla: Candidate = {
  name: "xla",
  layer: Engine.layerXla(),
  ...(existsSync(Effect.runSync(PluginFile.cached("cpu")))
    ? {}
    : { missing: "not set up, see patchword setup xla" })
}

export const present = (candidates: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> =>
  candidates.filter(({ missing, name }) => {
    if (missing === undefined) return true
    console.warn(`${name} is skipped: ${missing}`)
    describe(name, () => it.skip(missing, () => {}))
    return false
  })

export const on = (candidate: Candidate, body: (it: Vitest.MethodsNonLive<Engine.Engine>) => void): void => {
  for (const { layer, name } of present([candidate])) describe(name, () => withLayer(layer)(body))
}
