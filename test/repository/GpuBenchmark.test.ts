import { afterAll, assert, describe, it, vi } from "@effect/vitest"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Card from "../../benchmarks/gpu/card.ts"
import * as Machine from "../../benchmarks/gpu/machine.ts"
import { LEAST, measure, type Options } from "../../benchmarks/gpu/measure.ts"
import { packagesOf } from "../../benchmarks/gpu/pack.ts"
import { keyOf, type Part, plan, type Selection, ways } from "../../benchmarks/gpu/parts.ts"
import * as Process from "../../benchmarks/gpu/process.ts"
import * as Profile from "../../benchmarks/gpu/profile.ts"
import * as Results from "../../benchmarks/gpu/results.ts"
import * as Table from "../../benchmarks/gpu/table.ts"

const everything: Selection = {
  models: ["base", "large"],
  stages: ["mim", "vqkd", "features", "codes"],
  batches: [64, 8],
  precisions: ["bf16", "tf32", "fp32"],
  ways: Object.keys(ways)
}

const figures = (ms: number, more: Partial<Results.Figures> = {}): Results.Figures => ({
  engine: "one",
  version: "1",
  stepMs: { median: ms, least: ms, most: ms, quarter: ms, threeQuarters: ms, steps: 20 },
  imagesPerSecond: 1000 / ms,
  seconds: { start: 1, open: 2, first: 3 },
  ...more
})

describe("the plan on a GPU", () => {
  const keys = plan(everything).map(keyOf)

  it("begins with the large batch of the first model, PyTorch and XLA in turn", () => {
    assert.deepStrictEqual(keys.slice(0, 5), [
      "base/mim/64/bf16/eager",
      "base/mim/64/bf16/xla",
      "base/vqkd/64/bf16/eager",
      "base/vqkd/64/bf16/xla",
      "base/mim/64/tf32/eager"
    ])
    const at = (key: string) => keys.indexOf(key)
    const order = ["base/vqkd/64/fp32/xla", "base/mim/8/bf16/xla", "base/features/64/bf16/xla", "large/mim/64/bf16/xla"]
    assert.deepStrictEqual(order.map(at).toSorted((a, b) => a - b), order.map(at))
    assert.ok(order.every((key) => at(key) > 0))
  })

  it("names each part once, and none that TensorFlow refuses", () => {
    assert.strictEqual(new Set(keys).size, keys.length)
    assert.deepStrictEqual(keys.filter((key) => /bf16\/tensorflow/.test(key)), [])
  })

  it("leaves out what is not chosen", () => {
    const chosen = plan({ ...everything, models: ["tiny"], stages: ["codes"], batches: [8], ways: ["xla"] })
    assert.deepStrictEqual(
      chosen.map(keyOf),
      ["bf16", "tf32", "fp32"].map((precision) => `tiny/codes/8/${precision}/xla`)
    )
  })
})

const part = (way: string): Part => ({ model: "tiny", stage: "mim", batch: 8, precision: "fp32", way })
const three = ["eager", "xla", "compile"].map(part)

interface Step {
  readonly ms: number
  readonly ended: Process.Ended<Results.Figures>
}

const done: Step = { ms: 1000, ended: { log: "", figures: figures(5) } }

const measured = async (steps: ReadonlyArray<Step>, more: Partial<Options> = {}, minutes = 1) => {
  let left = 60_000 * minutes
  const limits: Array<number> = []
  const kept: Array<ReadonlyArray<string>> = []
  const found = await measure(three, {
    known: {},
    lacks: {},
    limit: 30_000,
    left: () => left,
    watch: () => () => undefined,
    run: (_, limit) => {
      const { ended, ms } = steps[limits.length]!
      limits.push(limit)
      left -= Math.min(ms, limit)
      return Promise.resolve(ended)
    },
    keep: (parts) => void kept.push(Object.keys(parts)),
    ...more
  })
  return { found, kept, limits, reasons: Object.values(found).map(({ reason }) => reason) }
}

describe("measuring part by part", () => {
  it("goes on after a failure, and keeps all results after each part", async () => {
    const broken: Step = { ms: 1000, ended: { log: "", late: false, reason: "broken" } }
    const { kept, reasons } = await measured([broken, done, done])
    assert.deepStrictEqual(reasons, ["broken", undefined, undefined])
    assert.deepStrictEqual(kept.map((parts) => parts.length), [1, 2, 3])
  })

  it("gives no part more than the limit or the time that is left, and begins none near the end", async () => {
    const { limits } = await measured([{ ...done, ms: 45_000 }, { ...done, ms: 60_000 - 30_000 - LEAST + 1 }])
    assert.deepStrictEqual(limits, [30_000, 30_000])
    const late: Step = { ms: 1e9, ended: { log: "", late: true, reason: "it took longer" } }
    const { found, limits: other } = await measured([done, late], {}, 0.5)
    assert.deepStrictEqual(other, [30_000, 29_000])
    assert.deepStrictEqual(Object.keys(found), [keyOf(three[0]!)])
  })

  it("has a part that reached its own limit as failed", async () => {
    const late: Step = { ms: 30_000, ended: { log: "", late: true, reason: "it took longer" } }
    assert.deepStrictEqual((await measured([late, done, done], {}, 2)).reasons, [
      "it took longer",
      undefined,
      undefined
    ])
  })

  it("repeats no part that it knows, and leaves out what the machine lacks", async () => {
    const [eager, , compile] = three
    const known = { [keyOf(eager!)]: { ...eager!, reason: "broken", seconds: 1 } }
    const { found, limits } = await measured([done], { known, lacks: { xla: "no plugin" } })
    assert.strictEqual(limits.length, 1)
    assert.deepStrictEqual(Object.keys(found), [keyOf(eager!), keyOf(compile!)])
  })
})

const script = (text: string): Process.Command => ({ command: process.execPath, args: ["-e", text] })

describe("the process of a part", () => {
  it("gives the figures of its last line of JSON", async () => {
    const noisy = script("console.log('{\"a\": 1}'); console.log('a library says goodbye')")
    assert.deepInclude(await Process.run(noisy, 20_000), { figures: { a: 1 } })
  })

  it.each([
    ["hangs", "setInterval(() => {}, 1000)", 300, /^it took longer than 0 s$/],
    ["is killed", "process.kill(process.pid, 'SIGKILL')", 20_000, /^SIGKILL ended it, perhaps because/],
    ["prints no figures", "console.log('{ garbage')", 20_000, /^it printed no figures, but: .*garbage/],
    ["prints without end", "for (;;) process.stdout.write('x'.repeat(100000))", 500, /^it took longer/],
    ["says why it fails", "console.error('no memory\\n'); process.exit(70)", 20_000, /^no memory$/],
    ["fails without a word", "process.exit(3)", 20_000, /^it ended with code 3, and no message$/]
  ])("gives a reason if it %s", async (_, text, limit, reason) => {
    const ended = await Process.run(script(text), limit)
    assert.match("reason" in ended ? ended.reason : "", reason)
    assert.isAtMost(ended.log.length, 2 ** 17)
  })

  it("gives a reason if it has no program", async () => {
    const ended = await Process.run({ command: "no-such-program", args: [] }, 20_000)
    assert.match("reason" in ended ? ended.reason : "", /ENOENT/)
  })

  it("ends what the process has started", async () => {
    const parent = script(
      `const { spawn } = require("node:child_process")
       const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" })
       console.log(JSON.stringify({ pid: child.pid }))
       process.exit()`
    )
    const ended = await Process.run<{ readonly pid: number }>(parent, 20_000)
    const { pid } = "figures" in ended ? ended.figures : { pid: 0 }
    const state = () => {
      try {
        return readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[2]!
      } catch {
        return "gone"
      }
    }
    assert.isAbove(pid, 0)
    await vi.waitFor(() => assert.match(state(), /^(gone|Z|X)$/))
  })
})

const folder = mkdtempSync(join(tmpdir(), "patchword-gpu-"))
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

describe("the file of results", () => {
  it("holds what was written last, with nothing beside it", () => {
    const out = join(folder, "out")
    assert.strictEqual(Results.read(out), undefined)
    for (const seconds of [1, 2]) {
      Results.write(out, { setting: {}, machine: {}, lacks: {}, parts: { a: { ...part("xla"), seconds } } })
    }
    assert.strictEqual(Results.read(out)?.parts["a"]?.seconds, 2)
    assert.deepStrictEqual(readdirSync(out), ["results.json"])
  })
})

describe.skipIf(process.platform !== "linux")("the machine", () => {
  const python = (name: string, about: object): string => {
    const file = join(folder, name)
    writeFileSync(file, `#!/bin/sh\necho a line of a library\necho '${JSON.stringify(about)}'\n`, { mode: 0o755 })
    return file
  }
  const none = { version: "3", torch: null, gpu: null, plugins: [], libraries: [] }

  it("has the Python whose PyTorch sees the GPU, with XLA and CUDA of its packages", async () => {
    vi.stubEnv("XDG_CACHE_HOME", folder)
    const libraries = join(folder, "nvidia/cu13/lib")
    mkdirSync(join(folder, "nvidia/cu13/nvvm/libdevice"), { recursive: true })
    writeFileSync(join(folder, "nvidia/cu13/nvvm/libdevice/libdevice.10.bc"), "")
    const plugin = python("plugin", {})
    const without = python("without", { ...none, torch: "2.11" })
    const seeing = python("seeing", { ...none, torch: "2.11", gpu: "a GPU", plugins: [plugin], libraries: [libraries] })
    const found = await Machine.find("cuda", ["no-such-python", python("bare", none), without, seeing], undefined)
    assert.strictEqual(found.python, seeing)
    assert.strictEqual(found.plugin, plugin)
    const { LD_LIBRARY_PATH, XLA_FLAGS } = found.environment
    assert.ok(LD_LIBRARY_PATH!.startsWith(libraries))
    assert.match(XLA_FLAGS!, /--xla_gpu_cuda_data_dir=\S+$/)
    assert.strictEqual((await Machine.find("cpu", [without, seeing], undefined)).python, without)
    assert.strictEqual((await Machine.find("cuda", ["no-such-python"], undefined)).about, undefined)
    assert.strictEqual((await Machine.find("cuda", [seeing], "mine.so")).plugin, "mine.so")
  })

  it("needs the packages that were loaded", () => {
    const modules = [
      "node:fs",
      "file:///a/src/x.ts",
      "file:///a/node_modules/@b/c/d.js",
      "file:///a/node_modules/e/f/g.js"
    ]
    assert.deepStrictEqual(packagesOf(modules), ["node_modules/@b/c", "node_modules/e"])
  })
})

const entries = (all: ReadonlyArray<Results.Entry>) => Object.fromEntries(all.map((one) => [keyOf(one), one]))
const entry = (way: string, of: Results.Figures, mebibytes: number): Results.Entry => ({
  ...part(way),
  figures: { ...of, mebibytes: { peak: mebibytes } },
  seconds: 1
})

describe("the table of ratios", () => {
  const losses = [10, 9, 8]
  const eager = entry("eager", figures(30, { losses }), 300)
  const compile = entry("compile", figures(12, { losses }), 300)
  const ours = entry("xla", figures(10, { losses: [10.001, 9, 8] }), 200)
  const page = (parts: Results.Results["parts"]) => Table.page({ setting: {}, machine: {}, lacks: {}, parts }, three)

  it("compares ours with PyTorch, compiled and not, and with the goal", () => {
    const row = Table.rows(entries([eager, compile, ours])).find(({ way }) => way === "xla")!
    assert.deepInclude(row, { eager: 3, compiled: 1.2, memory: 1.5, goal: 1.5, reached: true })
    assert.deepStrictEqual(row.agreement, { difference: 1e-4, agrees: true })
  })

  it("misses the goal if other numbers come out", () => {
    const wrong = entry("xla", figures(10, { losses: [10, 9, 7] }), 200)
    const row = Table.rows(entries([eager, wrong])).find(({ way }) => way === "xla")!
    assert.deepInclude(row, { agreement: { difference: 0.125, agrees: false }, reached: false })
  })

  it("says once what several ways lack", () => {
    assert.deepStrictEqual(Table.lacking({ xla: "no GPU", compile: "no PyTorch", "xla-profile": "no GPU" }), [
      "xla, xla-profile: no GPU",
      "compile: no PyTorch"
    ])
  })

  it("names what failed and what is left", () => {
    const failed: Results.Entry = { ...part("xla"), reason: "no memory", seconds: 1 }
    assert.match(page(entries([eager, failed])), /## Failed\n\n\* tiny\/mim\/8\/fp32\/xla: no memory\n/)
    assert.match(page(entries([eager, failed])), /## Not measured yet\n\n\* tiny\/mim\/8\/fp32\/compile\n/)
  })

  it.each([
    ["mim", 64, "bf16", 1.5],
    ["vqkd", 64, "tf32", 1.2],
    ["mim", 64, "fp32", 1.1],
    ["vqkd", 8, "fp32", 1.5],
    ["codes", 64, "bf16", 1.3]
  ])("has a goal for %s at batch %i in %s", (stage, batch, precision, goal) => {
    assert.strictEqual(Table.goalOf({ ...part("xla"), stage, batch, precision }), goal)
  })
})

describe("the card", () => {
  it("is summed up over the moments in which it worked", () => {
    const lines =
      "500, 0, 345, 3201, 70.1, 30, P8\n9000, 98, 1980, 3201, 650.5, 55, P0\n9500, 100, 1755, 3201, 700, 60, P0\n95"
    assert.deepStrictEqual(Card.summary(lines), {
      samples: 3,
      mebibytesBefore: 500,
      mebibytesMost: 9500,
      clockMegahertz: { median: 1980, least: 1755 },
      memoryClockMegahertz: 3201,
      watts: { median: 700, most: 700 },
      celsiusMost: 60,
      states: ["P0"]
    })
    assert.strictEqual(Card.summary("No devices were found\n"), undefined)
  })
})

describe("a profile", () => {
  it("sums up the launches of devices, alone and by their kinds, per step", () => {
    const names = { 1: { name: "loop_fusion_1" }, 2: { name: "loop_fusion_2" }, 3: { name: "gemm" } }
    const event = (name: number, picoseconds: number) => ({ name, picoseconds })
    const bytes = Profile.Space.encode({
      planes: [
        {
          name: "/device:GPU:0",
          lines: [{ events: [event(1, 4e9), event(3, 8e9)] }, { events: [event(2, 2e9)] }],
          names
        },
        { name: "/host:CPU", lines: [{ events: [event(1, 9e9)] }], names }
      ]
    }).finish()
    assert.deepStrictEqual(Profile.summary(Uint8Array.of(...bytes, 0), 2), Profile.summary(bytes, 2))
    assert.deepStrictEqual(Profile.summary(bytes, 2), {
      launches: 1.5,
      ms: 7,
      kinds: [{ name: "gemm", count: 0.5, ms: 4 }, { name: "loop_fusion", count: 1, ms: 3 }],
      longest: [
        { name: "gemm", count: 0.5, ms: 4 },
        { name: "loop_fusion_1", count: 0.5, ms: 2 },
        { name: "loop_fusion_2", count: 0.5, ms: 1 }
      ]
    })
  })
})
