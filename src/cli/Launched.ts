/** The rank that the program that started this process gave it. It says so by variables of the environment. */
import type { Launcher } from "../layers/ranks/MpiLibrary.ts"

/** A rank of several, and the kind of the program that started it. */
export interface Launched {
  readonly rank: number
  readonly size: number
  /** The number of ranks on this machine; all of them where nobody says it. */
  readonly local: number
  readonly launcher: Launcher
  /** The program that starts so many ranks again. */
  readonly start: "mpiexec" | "srun"
}

type Environment = Readonly<Record<string, string | undefined>>

interface Names {
  readonly launcher: Launcher
  readonly rank: string
  readonly size: string
  /** Slurm tells it otherwise. */
  readonly local?: string
}

const SLURM_TASKS = "SLURM_STEP_NUM_TASKS"

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
  { launcher: "slurm", rank: "SLURM_PROCID", size: SLURM_TASKS }
]

const number = (text = ""): number | undefined => /^\d+/.test(text) ? Number.parseInt(text) : undefined

/** Returns the number of tasks of a step of Slurm on this machine. The list of all machines is such as `4(x2),1`. */
const tasksHere = (env: Environment): number | undefined =>
  (env["SLURM_STEP_TASKS_PER_NODE"] ?? "").split(",").flatMap((part) => {
    const [, tasks, machines = 1] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part) ?? []
    return tasks === undefined ? [] : Array.from({ length: Number(machines) }, () => Number(tasks))
  })[number(env["SLURM_NODEID"]) ?? 0]

/** Returns the rank of this process. Nothing if there is one process alone. */
export const of = (env: Environment): Launched | undefined => {
  for (const { launcher, local, rank, size } of LAUNCHERS) {
    const [own, all] = [number(env[rank]), number(env[size])]
    if (own === undefined || all === undefined) continue
    if (all === 1) return undefined
    const here = local === undefined ? undefined : number(env[local])
    // Slurm gives ranks the variables of MPICH, too. `mpiexec` in a job of Slurm says how many ranks are on the machine.
    const start = here === undefined && number(env[SLURM_TASKS]) === all ? "srun" : "mpiexec"
    return {
      rank: own,
      size: all,
      local: here ?? (start === "srun" ? tasksHere(env) : undefined) ?? all,
      launcher,
      start
    }
  }
  return undefined
}
