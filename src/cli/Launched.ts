/** The rank that the program that started this process gave it. It says so by variables of the environment. */
import type { Launcher } from "../layers/ranks/MpiLibrary.ts"

/** A rank of several, and the kind of the program that started it. */
export interface Launched {
  readonly rank: number
  readonly size: number
  /** The number of ranks on this machine; all of them where nobody says it. */
  readonly local: number
  readonly launcher: Launcher
}

type Environment = Readonly<Record<string, string | undefined>>

interface Names {
  readonly launcher: Launcher
  readonly rank: string
  readonly size: string
  readonly local: string
}

/**
 * The variables of launchers. Those of Slurm are of the steps of a job: a script of `sbatch` has the rank of a task, too, but is no
 * rank.
 */
const LAUNCHERS: ReadonlyArray<Names> = [
  {
    launcher: "openmpi",
    rank: "OMPI_COMM_WORLD_RANK",
    size: "OMPI_COMM_WORLD_SIZE",
    local: "OMPI_COMM_WORLD_LOCAL_SIZE"
  },
  { launcher: "mpich", rank: "PMI_RANK", size: "PMI_SIZE", local: "MPI_LOCALNRANKS" },
  { launcher: "slurm", rank: "SLURM_PROCID", size: "SLURM_STEP_NUM_TASKS", local: "SLURM_STEP_TASKS_PER_NODE" }
]

/** Returns the rank of this process. Nothing if there is one process alone. */
export const of = (env: Environment): Launched | undefined => {
  const number = (name: string): number | undefined =>
    /^\d+/.test(env[name] ?? "") ? Number.parseInt(env[name]!) : undefined
  for (const { launcher, local, rank, size } of LAUNCHERS) {
    const [own, all] = [number(rank), number(size)]
    if (own !== undefined && all !== undefined) {
      return all > 1 ? { rank: own, size: all, local: number(local) ?? all, launcher } : undefined
    }
  }
  return undefined
}
