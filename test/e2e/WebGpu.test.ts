import { describe, it } from "@effect/vitest"
import chromium from "@sparticuz/chromium"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { agree } from "./webAgree.ts"
import { all, type Found } from "./webPrograms.ts"

const child = fileURLToPath(new URL("./webGpuChild.ts", import.meta.url))

const onSwiftShader = Effect.promise(async () => {
  const folder = dirname(await chromium.executablePath())
  const { stdout } = await promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", child], {
    env: { ...process.env, LD_LIBRARY_PATH: folder, VK_ICD_FILENAMES: join(folder, "vk_swiftshader_icd.json") },
    maxBuffer: 2 ** 26
  })
  return JSON.parse(stdout) as Found
})

describe.runIf(process.platform === "linux")("WebGPU on the processor", () => {
  it.effect("gives codes and steps of the processor's provider, the state on the device", () =>
    Effect.gen(function*() {
      agree(yield* onSwiftShader, yield* Effect.provide(all, Engine.layerOnnx()))
    }))
})
