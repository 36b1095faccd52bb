/** The plugins that `patchword setup xla` installs. */
import { Effect } from "effect"
import { join } from "node:path"
import * as Caches from "../files/Caches.ts"

/** A kind of devices. */
export type Platform = "cpu" | "cuda"

/** The wheel on PyPI that brings a platform's plugin, and the library in it. */
export const PLUGINS = {
  cpu: {
    wheel: "lammps-jax-pjrt-cpu",
    version: "0.11.2",
    sha256: "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1",
    megabytes: 63,
    library: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so"
  },
  cuda: {
    wheel: "jax-cuda13-pjrt",
    version: "0.12.0.1",
    sha256: "5899bb6177eda86ea532afb9a26794f2bdd04966f6a01f9028266b16c2b6cf90",
    megabytes: 135,
    library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so"
  }
} as const satisfies Record<Platform, object>

/** The folder of a platform's plugin, in the user's folder of caches. */
export const folder = (platform: Platform): Effect.Effect<string> =>
  Caches.folder(`xla-${platform}-${PLUGINS[platform].version}`)

/** The file of a platform's plugin. It need not be there. */
export const cached = (platform: Platform): Effect.Effect<string> =>
  Effect.map(folder(platform), (at) => join(at, PLUGINS[platform].library))
