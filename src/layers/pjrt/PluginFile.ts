/** The plugins that `patchword setup xla` installs. */
import { Effect } from "effect"
import { join } from "node:path"
import * as Caches from "../files/Caches.ts"

/** A kind of devices. */
export type Platform = "cpu" | "cuda"

/** The version of each platform's plugin, and the name of its library. */
export const PLUGINS = {
  cpu: { version: "0.11.2", library: "pjrt_c_api_cpu_plugin.so" },
  cuda: { version: "0.12.0.1", library: "xla_cuda_plugin.so" }
} as const satisfies Record<Platform, { readonly version: string; readonly library: string }>

/** The folder of a platform's plugin, in the user's folder of caches. */
export const folder = (platform: Platform): Effect.Effect<string> =>
  Caches.folder(`xla-${platform}-${PLUGINS[platform].version}`)

/** The file of a platform's plugin. It need not be there. */
export const cached = (platform: Platform): Effect.Effect<string> =>
  Effect.map(folder(platform), (at) => join(at, PLUGINS[platform].library))
