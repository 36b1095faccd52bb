import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach } from "vitest"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as PluginFile from "../../../src/layers/pjrt/PluginFile.ts"
import * as ThreadRanks from "../../../src/layers/ranks/ThreadRanks.ts"
import { isThere, killAll, library, start } from "../ranks/mpi.ts"

const cpu = Effect.runSync(PluginFile.cached("cpu"))
const folder = mkdtempSync(join(tmpdir(), "patchword-inside-"))
const together = join(folder, "together.so")
const source = fileURLToPath(new URL("../pjrt/together.c", import.meta.url))
const program = fileURLToPath(new URL("./insideRank.ts", import.meta.url))

const isServed = isThere && existsSync(cpu) && process.platform === "linux"
const flags = ["-D_GNU_SOURCE", "-shared", "-fPIC", "-o", together, source, "-ldl", "-lpthread"]
const isCompiled = isServed && spawnSync("cc", flags, { encoding: "utf8" }).status === 0
if (!isCompiled) console.warn("clients that meet are skipped: they need MPI, the CPU plugin and a compiler of C")

process.env["TOGETHER_PLUGIN"] = cpu

afterEach(killAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const refusal = (layer: Layer.Layer<Engine.Engine, Engine.EngineError>) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), ({ message, reason }) => {
    assert.strictEqual(reason._tag, "CollectivesUnavailable")
    return message
  })

describe("collectives inside of programs", () => {
  it.effect("are refused where they cannot be, with what to do", () =>
    Effect.gen(function*() {
      const [ranks] = ThreadRanks.origins(2)
      const cases = [
        [{}, "XLA's plugin for processors does not have them"],
        [{ platform: "cuda" }, "there is one rank"],
        [{ platform: "cuda", ranks: ThreadRanks.origins(1)[0]! }, "there is one rank"],
        [{ platform: "cuda", ranks: ranks! }, "the ranks are threads of one process"]
      ] as const
      for (const [options, problem] of cases) {
        assert.include(
          yield* refusal(Engine.layerXla({ ...options, collectives: "inside" })),
          `collectives inside of XLA's programs cannot be used: ${problem}; use them on NVIDIA's GPUs (--platform cuda) with ` +
            "several ranks of MPI, or leave them out (--collectives host)"
        )
      }
    }))

  it.live.skipIf(!isServed)("are refused by a plugin without them, on every rank", () =>
    Effect.gen(function*() {
      const job = start(2, [program, library, "2", cpu])
      assert.notStrictEqual(yield* job.end, 0)
      assert.match(
        job.errors(),
        /collectives inside of XLA's programs cannot be used: PJRT_Client_Create: Unexpected option name .*; use them on NVIDIA's GPUs/
      )
      assert.deepStrictEqual(job.lines, [])
    }), 60_000)
})

describe.skipIf(!isCompiled)("clients of two ranks", () => {
  it.live(
    "meet through MPI, run one program on a device of each, and take and return the share of each",
    () =>
      Effect.gen(function*() {
        const job = start(2, [program, library, "2", together])
        assert.deepStrictEqual([yield* job.end, job.errors()], [0, ""])
        const said = job.lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
        const found = said.filter(({ name }) => name !== undefined).toSorted((a, b) =>
          Number(a["rank"]) - Number(b["rank"])
        )
        const same = {
          w: 7,
          steps: 2,
          engine: "xla cuda",
          ranks: 2,
          collectives: "inside",
          memory: { handles: 0, tensors: 0, bytes: 0 }
        }
        const told = found.map(({ name, ...one }, rank) => {
          assert.match(String(name), new RegExp(`fp32, rank ${rank} of 2, collectives inside, \\d+ threads?$`))
          return one
        })
        assert.deepStrictEqual(told, [
          { rank: 0, ...same, sums: [101, 101], y: [0, 6] },
          { rank: 1, ...same, sums: [101_000, 101_000], y: [2, 6] }
        ])
      }),
    60_000
  )

  it.live("end when one of them is lost in the middle of a step", () =>
    Effect.gen(function*() {
      process.env["TOGETHER_HANGS"] = "1"
      const job = start(2, [program, library, "2", together])
      delete process.env["TOGETHER_HANGS"]
      const line = yield* job.line((line) => line.startsWith("{\"rank\":1,"))
      yield* job.line(() => job.lines.filter((line) => line === "waits").length === 2)
      const { pid } = JSON.parse(line) as { readonly pid: number }
      const begun = performance.now()
      process.kill(pid, "SIGSTOP")
      assert.include([75, 9], yield* job.end)
      assert.isBelow(performance.now() - begun, 15_000)
      assert.match(job.errors(), /^rank 1 has said nothing for 3 s/m)
    }), 60_000)
})
