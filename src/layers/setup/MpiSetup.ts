/**
 * Installs MPI for `Ranks.layerMpi`: MPICH with its program `mpiexec`. It fetches MPICH's wheel from PyPI with pip (13 MB), whose
 * SHA-256 is known here.
 */
import { Effect } from "effect"
import * as Files from "../files/Files.ts"
import * as MpiLibrary from "../ranks/MpiLibrary.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"
import * as Wheels from "./Wheels.ts"

const WHEELS: Readonly<Record<string, Pick<Wheels.Wheel, "sha256" | "megabytes">>> = {
  "linux-x64": { megabytes: 13, sha256: "8fed465ebff269ea2ebac179a25de02671ddf8df476e0f115be089015015cfd4" },
  "linux-arm64": { megabytes: 10, sha256: "992ae6ebb0da97d49d7a67000ae8112da9a3825da1bb1e6f1d196428a0410f2d" },
  "darwin-arm64": { megabytes: 10, sha256: "fa6611d3efa2d5a5f624976458d25988bfd5626afc09402f662ff0defbb45cd4" }
}

/** Programs that start ranks, libraries with both binary interfaces of MPICH and what they load, and licences. */
const NEEDED =
  /^[^/]+\/(?:data\/(bin\/(?:mpiexec|mpirun|hydra_\w+)|lib\/(?:libmpi(?:_abi)?\.(?:so\.\d+|\d+\.dylib)|mpich\/.+))|(licenses\/.+))$/

/** The place of a wheel's file in the folder; nothing for a file that is not needed. */
const placeOf = (name: string): string | undefined => {
  const [, data, licence] = NEEDED.exec(name) ?? []
  return data ?? licence
}

/**
 * Puts MPICH into the user's cache folder, where ranks look first. Does nothing where it is there already. Fails with
 * `SetupError` where no wheel fits the machine or pip cannot fetch it, and with `FileError` where the folder cannot be written.
 */
export const install = Effect.fn("patchword.setup.mpi")(function*(report: SetupCommand.Report) {
  const files = yield* Files.make
  const folder = yield* MpiLibrary.folder
  const found = { library: "mpi", version: MpiLibrary.VERSION, folder }
  if (yield* Effect.orElseSucceed(files.fs.exists(folder), () => false)) return { ...found, fetched: false }
  const platform = `${process.platform}-${process.arch}`
  const wheel = WHEELS[platform]
  if (wheel === undefined) {
    const remedy = `use one of ${Object.keys(WHEELS).join(", ")}, or install MPI and name its library to the ranks`
    return yield* new SetupError({ part: "wheel", detail: `MPICH has no wheel for ${platform}`, remedy })
  }
  const temporary = yield* SetupCommand.workspace
  const mpich = { name: "mpich", version: MpiLibrary.VERSION, ...wheel }
  const [file] = yield* Wheels.fetch(temporary, "3.12", [mpich], report)
  const parts = yield* Wheels.unpacked(file!, placeOf)
  const { dirname, join } = files.path
  yield* files.writeFolder(folder, (fresh) =>
    Effect.forEach(parts, ([place, bytes]) =>
      Effect.gen(function*() {
        const target = join(fresh, place)
        yield* files.makeFolder(dirname(target))
        yield* files.writeParts(target, [bytes])
        // A wheel does not tell which of its files are programs.
        if (place.startsWith("bin/")) yield* Files.onFailure(target)(files.fs.chmod(target, 0o755))
      }), { discard: true }))
  yield* report(`ranks are started with ${yield* MpiLibrary.launcher}`)
  return { ...found, fetched: true }
}, Effect.scoped)
