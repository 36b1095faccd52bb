import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, vi } from "vitest"
import * as Files from "../../../src/layers/files/Files.ts"
import * as MpiLibrary from "../../../src/layers/ranks/MpiLibrary.ts"
import * as MpiSetup from "../../../src/layers/setup/MpiSetup.ts"
import { isThere, library } from "../ranks/mpi.ts"

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("the setup of MPI", () => {
  const caches = mkdtempSync(join(tmpdir(), "patchword-mpi-test-"))
  const inCaches = Effect.provide([
    Files.layerNode,
    ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: caches }))
  ])
  const said: Array<string> = []
  const install = MpiSetup.install((line) => Effect.sync(() => void said.push(line)))
  afterAll(() => {
    vi.unstubAllEnvs()
    rmSync(caches, { recursive: true })
  })

  it.live("leaves nothing where the wheel is another one", () =>
    Effect.gen(function*() {
      const programs = join(caches, "bin")
      mkdirSync(programs)
      writeFileSync(join(programs, "python3"), "#!/bin/sh\necho THESE PACKAGES DO NOT MATCH THE HASHES; exit 1\n")
      chmodSync(join(programs, "python3"), 0o755)
      vi.stubEnv("PATH", `${programs}:/usr/bin:/bin`)
      const error = yield* Effect.flip(install)
      assert.match(error.message, /^wheel: .*DO NOT MATCH THE HASHES/)
      assert.deepStrictEqual(said.splice(0), [`fetching mpich ${MpiLibrary.VERSION} from PyPI (13 MB)`])
      assert.deepStrictEqual(readdirSync(caches), ["bin"])
    }).pipe(inCaches))

  it.live("does nothing where it is there", () =>
    Effect.gen(function*() {
      const folder = yield* MpiLibrary.folder
      mkdirSync(folder, { recursive: true })
      assert.deepStrictEqual(yield* install, { library: "mpi", version: MpiLibrary.VERSION, folder, fetched: false })
      assert.deepStrictEqual(said, [])
    }).pipe(inCaches))
})

it.skipIf(!isThere)("the setup of MPI leaves programs that run", () => {
  const home = dirname(dirname(library))
  for (const name of ["mpiexec", "mpirun", "hydra_pmi_proxy"]) accessSync(join(home, "bin", name), constants.X_OK)
})
