import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Effect, Exit, Runtime } from "effect"
import * as Launched from "../../src/cli/Launched.ts"
import * as Program from "../../src/cli/Program.ts"

describe("the rank of a process", () => {
  it.each([
    ["nobody", {}, undefined],
    ["MPICH", { PMI_RANK: "1", PMI_SIZE: "3", MPI_LOCALNRANKS: "2" }, {
      rank: 1,
      size: 3,
      local: 2,
      launcher: "mpich",
      start: "mpiexec"
    }],
    [
      "Open MPI",
      { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2", OMPI_COMM_WORLD_LOCAL_SIZE: "1", PMIX_RANK: "0" },
      { rank: 0, size: 2, local: 1, launcher: "openmpi", start: "mpiexec" }
    ],
    [
      "srun",
      { SLURM_PROCID: "5", SLURM_STEP_NUM_TASKS: "8", SLURM_STEP_TASKS_PER_NODE: "4(x2)", SLURM_NODEID: "1" },
      { rank: 5, size: 8, local: 4, launcher: "slurm", start: "srun" }
    ],
    [
      "srun with the variables of MPICH",
      {
        PMI_RANK: "6",
        PMI_SIZE: "7",
        SLURM_PROCID: "6",
        SLURM_STEP_NUM_TASKS: "7",
        SLURM_STEP_TASKS_PER_NODE: "3(x2),1",
        SLURM_NODEID: "2"
      },
      { rank: 6, size: 7, local: 1, launcher: "mpich", start: "srun" }
    ],
    [
      "mpiexec in a job of Slurm",
      {
        PMI_RANK: "2",
        PMI_SIZE: "4",
        MPI_LOCALNRANKS: "2",
        SLURM_PROCID: "1",
        SLURM_STEP_NUM_TASKS: "2",
        SLURM_STEP_TASKS_PER_NODE: "1(x2)"
      },
      { rank: 2, size: 4, local: 2, launcher: "mpich", start: "mpiexec" }
    ],
    [
      "srun without the list of machines",
      { SLURM_PROCID: "1", SLURM_STEP_NUM_TASKS: "2" },
      { rank: 1, size: 2, local: 2, launcher: "slurm", start: "srun" }
    ],
    ["a script of sbatch", { SLURM_PROCID: "0", SLURM_NTASKS: "8" }, undefined],
    ["mpiexec of one process", { PMI_RANK: "0", PMI_SIZE: "1" }, undefined],
    ["no number", { PMI_RANK: "x", PMI_SIZE: "2" }, undefined]
  ])("is told by its environment: %s", (_, env, expected) => assert.deepStrictEqual(Launched.of(env), expected))

  const said = Effect.fnUntraced(function*(rank: number, ...words: ReadonlyArray<string>) {
    const lines: Array<string> = []
    const say = (...values: ReadonlyArray<unknown>) => void lines.push(values.join(" "))
    const as = { rank, size: 2, local: 2, launcher: "mpich", start: "mpiexec" } as const
    const exit = yield* Program.run(words, (self) => self, { as, stop: new AbortController().signal }).pipe(
      Effect.provideService(Console.Console, { ...globalThis.console, log: say, error: say }),
      Effect.exit
    )
    return {
      text: lines.join("\n"),
      code: Exit.isSuccess(exit) ? 0 : Runtime.getErrorExitCode(Cause.squash(exit.cause))
    }
  })

  it.effect("says once what needs no other rank, with the exit code of one process", () =>
    Effect.gen(function*() {
      const refused = /2 ranks were started, but this command is for one process; start it without mpiexec/
      const cases: ReadonlyArray<readonly [words: ReadonlyArray<string>, code: number, text: RegExp]> = [
        [["knn", "runs/one"], 64, refused],
        [["pretrian"], 64, /no command "pretrian", did you mean pretrain\?/],
        [["knn", "--foo"], 64, /patchword knn has no flag --foo/],
        [["pretrain", "--help"], 0, /--tokenizer/],
        [["help", "images"], 0, /^Images: /],
        [["--version"], 0, /^patchword v/]
      ]
      for (const [words, code, text] of cases) {
        const [first, second] = [yield* said(0, ...words), yield* said(1, ...words)]
        assert.match(first.text, text)
        assert.strictEqual(first.code, code)
        assert.deepStrictEqual(second, { text: "", code })
      }
    }).pipe(Effect.provide(NodeServices.layer)))
})
