/** The library of MPI that `patchword setup mpi` installs, and where others are looked for. */
import { Effect } from "effect"
import { join } from "node:path"
import * as Caches from "../files/Caches.ts"

/** The version of MPICH that `patchword setup mpi` installs. Its library has the standard binary interface of MPI 5. */
export const VERSION = "5.0.2"

/** The names of the library with the standard binary interface, by platform. */
const STANDARD: Readonly<Record<string, string>> = { darwin: "libmpi_abi.1.dylib" }

/** The folder of `patchword setup mpi`, in the user's folder of caches. */
export const folder: Effect.Effect<string> = Caches.folder(`mpi-${VERSION}`)

/** The program that starts ranks on the library of the setup. It need not be there. */
export const launcher: Effect.Effect<string> = Effect.map(folder, (at) => join(at, "bin", "mpiexec"))

/** The library of the setup. It need not be there. */
export const cached: Effect.Effect<string> = Effect.map(
  folder,
  (at) => join(at, "lib", STANDARD[process.platform] ?? "libmpi_abi.so.1")
)

/** The kind of the program that started the ranks. Its own library is the one that finds the others. */
export type Launcher = "mpich" | "openmpi" | "slurm"

const OPEN_MPI = ["libmpi.so.40", "libmpi.40.dylib"]
const MPICH = ["libmpi_abi.so.1", "libmpi.so.12", "libmpich.so.12", "libmpi.12.dylib"]

/** The files and names of libraries to try for a launcher, in order. */
export const candidates = (launcher: Launcher): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(cached, (own) => launcher === "openmpi" ? OPEN_MPI : [own, ...MPICH, ...OPEN_MPI])
