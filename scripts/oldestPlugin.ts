/**
 * Fetches the oldest plugin of PJRT that patchword takes, for the tests: `npm run setup:oldest-plugin`. It is another build of XLA for
 * processors, with version 0.81 of the interface.
 */
import { Console, Effect } from "effect"
import { join } from "node:path"
import * as Caches from "../src/layers/files/Caches.ts"
import * as Files from "../src/layers/files/Files.ts"
import * as SetupCommand from "../src/layers/setup/SetupCommand.ts"
import * as Wheels from "../src/layers/setup/Wheels.ts"

const WHEEL: Wheels.Wheel = {
  name: "xla-cpu-pjrt",
  version: "0.0.1",
  sha256: "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc",
  megabytes: 63
}

const folder = Caches.folder(`${WHEEL.name}-${WHEEL.version}`)

/** The file of the plugin. It need not be there. */
export const file: Effect.Effect<string> = Effect.map(
  folder,
  (at) => join(at, "xla_plugins", "xla_cpu_pjrt", "xla_cpu_pjrt.so")
)

const install = Effect.gen(function*() {
  const files = yield* Files.make
  const wheels = yield* Wheels.fetch(yield* SetupCommand.workspace, "3.12", [WHEEL], Console.log)
  yield* files.writeFolder(yield* folder, (fresh) => Wheels.install(fresh, wheels))
}).pipe(Effect.scoped, Effect.provide(Files.layerNode))

if (import.meta.main) await Effect.runPromise(install)
