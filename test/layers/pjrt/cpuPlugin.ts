import { describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import * as oldestPlugin from "../../../scripts/oldestPlugin.ts"
import * as Client from "../../../src/layers/pjrt/Client.ts"
import type { PjrtError, PluginUnavailable } from "../../../src/layers/pjrt/PjrtError.ts"
import * as Plugin from "../../../src/layers/pjrt/Plugin.ts"
import * as PluginFile from "../../../src/layers/pjrt/PluginFile.ts"

process.env.TF_CPP_MIN_LOG_LEVEL ??= "3"

export interface CpuPlugin {
  readonly file: string
  readonly isOldest: boolean
  readonly opened: (
    options?: Client.Options
  ) => Effect.Effect<Client.Client, PjrtError | PluginUnavailable, Scope.Scope>
}

const oldest = Effect.runSync(oldestPlugin.file)

const newest = {
  name: "the CPU plugin",
  file: Effect.runSync(PluginFile.cached("cpu")),
  missing: "not set up, see patchword setup xla"
}

const plugins = [
  newest,
  {
    name: "the oldest plugin",
    file: oldest,
    missing: "not set up, see npm run setup:oldest-plugin"
  }
]

const on = ({ file, missing, name }: typeof newest, what: string, body: (plugin: CpuPlugin) => void): void => {
  const title = `${what} on ${name}`
  if (existsSync(file)) {
    describe(
      title,
      () =>
        body({
          file,
          isOldest: file === oldest,
          opened: (options) => Effect.flatMap(Plugin.load(file), (plugin) => Client.open(plugin, options))
        })
    )
  } else {
    console.warn(`${title} is skipped: ${missing}`)
    describe(title, () => it.skip(missing, () => {}))
  }
}

export const onCpu = (what: string, body: (plugin: CpuPlugin) => void): void =>
  plugins.forEach((plugin) => on(plugin, what, body))

export const onNewest = (what: string, body: (plugin: CpuPlugin) => void): void => on(newest, what, body)

export const NOTHING = { buffer: 0, loaded: 0, executable: 0, event: 0 }
