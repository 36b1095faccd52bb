import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Launched from "../../src/cli/Launched.ts"
import * as Program from "../../src/cli/Program.ts"

describe("the rank of a process", () => {
  it.each([
    ["nobody", {}, undefined],
    ["MPICH", { PMI_RANK: "1", PMI_SIZE: "3", MPI_LOCALNRANKS: "2" }, {
      rank: 1,
      size: 3,
      local: 2,
      launcher: "mpich"
    }],
    [
      "Open MPI",
      { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2", OMPI_COMM_WORLD_LOCAL_SIZE: "1", PMIX_RANK: "0" },
      { rank: 0, size: 2, local: 1, launcher: "openmpi" }
    ],
    [
      "srun",
      { SLURM_PROCID: "5", SLURM_STEP_NUM_TASKS: "8", SLURM_STEP_TASKS_PER_NODE: "4(x2)" },
      { rank: 5, size: 8, local: 4, launcher: "slurm" }
    ],
    ["a script of sbatch", { SLURM_PROCID: "0", SLURM_NTASKS: "8" }, undefined],
    ["mpiexec of one process", { PMI_RANK: "0", PMI_SIZE: "1" }, undefined],
    ["no number", { PMI_RANK: "x", PMI_SIZE: "2" }, undefined]
  ])("is told by its environment: %s", (_, env, expected) => assert.deepStrictEqual(Launched.of(env), expected))

  it.effect("is refused by a command for one process", () =>
    Effect.gen(function*() {
      const as = { rank: 0, size: 2, local: 2, launcher: "mpich" } as const
      const job = { as, stop: new AbortController().signal }
      const error = yield* Effect.flip(Program.run(["knn", "runs/one"], (self) => self, job))
      assert.match(String(error), /2 ranks were started, but this command is for one process; start it without mpiexec/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
