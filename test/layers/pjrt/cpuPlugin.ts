import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import * as Client from "../../../src/layers/pjrt/Client.ts"
import * as Plugin from "../../../src/layers/pjrt/Plugin.ts"
import * as PluginFile from "../../../src/layers/pjrt/PluginFile.ts"

process.env.TF_CPP_MIN_LOG_LEVEL ??= "3"

export const file = Effect.runSync(PluginFile.cached("cpu"))

const MISSING = "not set up, see patchword setup xla"

export const onCpu = (name: string, body: () => void): void => {
  if (existsSync(file)) return void describe(name, body)
  console.warn(`${name} is skipped: ${MISSING}`)
  describe(name, () => it.skip(MISSING, () => {}))
}

export const opened = Effect.fnUntraced(function*(options?: Client.Options) {
  return yield* Client.open(yield* Plugin.load(file), options)
})

export const NOTHING = { buffer: 0, loaded: 0, executable: 0, event: 0 }
