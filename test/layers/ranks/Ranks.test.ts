import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { afterEach } from "vitest"
import * as Ranks from "../../../src/layers/ranks/Ranks.ts"
import { isThere, killAll, library, ofMpich, start } from "./mpi.ts"

const program = fileURLToPath(new URL("./rank.ts", import.meta.url))

const found = Effect.fnUntraced(function*(ranks: number, mode: string, of = library) {
  const job = start(ranks, [program, mode, of, String(ranks)])
  const code = yield* job.end
  const said = job.lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  return { code, errors: job.errors(), said: said.toSorted((a, b) => Number(a["rank"]) - Number(b["rank"])) }
})

const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}/stat`) && !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))

describe("one rank", () => {
  it.effect("agrees with itself", () =>
    Effect.gen(function*() {
      const { barrier, broadcast, rank, size } = yield* Ranks.Ranks
      const bytes = Uint8Array.of(3)
      yield* broadcast(bytes)
      yield* barrier
      yield* Ranks.agree("configuration", { seed: 1 })
      assert.deepStrictEqual([rank, size, [...bytes]], [0, 1, [3]])
    }))

  it.live("says what to install where there is no library", () =>
    Effect.gen(function*() {
      const asked = Effect.provide(Effect.void, Ranks.layerMpi({ library: "/nowhere/libmpi.so" }))
      const refused = yield* Effect.result(asked)
      assert.isTrue(Result.isFailure(refused))
      if (Result.isSuccess(refused)) return
      assert.strictEqual(refused.failure.reason._tag, "MpiUnavailable")
      assert.match(refused.failure.message, /nowhere\/libmpi\.so.*; run "patchword setup mpi"/)
    }))
})

describe.skipIf(!isThere || process.platform !== "linux")("ranks of MPI", () => {
  afterEach(killAll)

  it.live("end when one of them ends before it has met the others", () =>
    Effect.gen(function*() {
      const { code, errors, said } = yield* found(2, "early")
      assert.deepStrictEqual([said, code === 0], [[], false])
      assert.match(errors, /not all ranks have met within 3 s/)
    }), 30_000)

  it.live(
    "sum to the same bytes on every rank and in every run, while the main thread goes on",
    () =>
      Effect.gen(function*() {
        const [one, other] = yield* Effect.all([found(3, "sum"), found(3, "sum")])
        assert.deepStrictEqual([one.code, one.errors, one.said.length], [0, "", 3])
        const digests = new Set(
          [...one.said, ...other.said].flatMap((said) => said["digests"] as ReadonlyArray<string>)
        )
        assert.strictEqual(digests.size, 1)
        assert.strictEqual(new Set([...one.said, ...other.said].map(({ halves }) => halves)).size, 1)
        for (const { error } of one.said) {
          assert.isAbove(Number(error), 1e-4)
          assert.isBelow(Number(error), 2 ** -6)
        }
        const values = one.said[0]!["values"] as ReadonlyArray<number>
        values.forEach((value, i) => {
          const expected = [1, 2, 3].reduce((sum, by) => sum + Math.sin(i * by), 0)
          assert.closeTo(value, expected, 1e-6)
        })
        for (const [rank, said] of one.said.entries()) {
          assert.deepStrictEqual([said["rank"], said["size"], said["bytes"]], [rank, 3, [0, 1, 2, 3, 4]])
        }
        assert.isAbove(Math.max(...one.said.map((said) => Number(said["ticks"]))), 5)
      }),
    30_000
  )

  it.live("sum through the interface of MPICH", () =>
    Effect.gen(function*() {
      const { code, said } = yield* found(2, "sum", ofMpich)
      assert.strictEqual(code, 0)
      assert.strictEqual(new Set(said.flatMap((one) => one["digests"] as ReadonlyArray<string>)).size, 1)
    }), 30_000)

  it.live("refuse one that differs, and name the difference", () =>
    Effect.gen(function*() {
      const { code, errors, said } = yield* found(2, "agree")
      assert.deepStrictEqual([code === 0, said], [false, []])
      assert.match(
        errors,
        /rank 1 has another configuration than rank 0 \(optimizer\.lr is 0\.2 on rank 0, 0\.1 here\)/
      )
    }), 30_000)

  it.live("end within the limit when one is stopped or killed where nobody watches", () =>
    Effect.gen(function*() {
      for (const [whose, signal] of [[1, "SIGSTOP"], [0, "SIGKILL"]] as const) {
        const job = start(3, [program, "wait", library, "3", "3"])
        const pids = yield* Effect.forEach([0, 1, 2], (rank) =>
          Effect.map(
            job.line((line) => line.startsWith(`{"rank":${rank},`)),
            (line) => (JSON.parse(line) as { readonly pid: number }).pid
          ))
        if (signal === "SIGKILL") {
          const proxies = execFileSync("pgrep", ["-P", String(job.launcher.pid)], { encoding: "utf8" })
          for (const proxy of proxies.trim().split("\n")) process.kill(Number(proxy), "SIGKILL")
          job.launcher.kill("SIGKILL")
        }
        const begun = performance.now()
        process.kill(pids[whose]!, signal)
        const others = pids.filter((_, rank) => rank !== whose)
        while (others.some(isAlive) && performance.now() - begun < 10_000) yield* Effect.sleep(50)
        assert.deepStrictEqual(others.filter(isAlive), [])
        if (isAlive(pids[whose]!)) process.kill(pids[whose]!, "SIGKILL")
        if (signal === "SIGSTOP") {
          assert.include([75, 9], yield* job.end)
          assert.match(job.errors(), /^rank 1 has said nothing for 3 s: .*; start all ranks again/m)
        }
      }
    }), 40_000)
})
