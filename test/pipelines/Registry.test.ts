import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Runtime } from "effect"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as RunsText from "../../src/cli/terminal/RunsText.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import { best } from "../../src/pipelines/runs/Best.ts"
import * as Comparison from "../../src/pipelines/runs/Comparison.ts"
import * as Registry from "../../src/pipelines/runs/Registry.ts"
import * as RunCurves from "../../src/pipelines/runs/RunCurves.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as RunFacts from "../../src/studio/pages/RunFacts.ts"
import { machine, micro, recording } from "./kit.ts"
import { lock, result, rows, run, steps, write } from "./runFolders.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-registry-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const nobody = 2 ** 22 + 1

const provided = <A, E>(self: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.provide(self, NodeServices.layer)

const contents = (of: string) =>
  readdirSync(of, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => {
    const file = join(entry.parentPath, entry.name)
    return [file, statSync(file).mtimeMs, readFileSync(file, "utf8")]
  })

describe("Registry", () => {
  it.effect("finds runs to a depth, and follows no links", () =>
    provided(Effect.gen(function*() {
      const root = at("find")
      run(join(root, "one"))
      run(join(root, "a", "b", "two"))
      run(join(root, "a", "b", "two", "checkpoints", "inside"))
      run(join(root, ".hidden", "three"))
      write(join(root, "other"), { "config.json": "{}" })
      symlinkSync(join(root, "a"), join(root, "link"))
      symlinkSync(root, join(root, "a", "circle"))
      const found = yield* Registry.find([root, join(root, "one")])
      assert.deepStrictEqual(found, [join(root, "a", "b", "two"), join(root, "one")])
      assert.deepStrictEqual(yield* Registry.find([root], { depth: 1 }), [join(root, "one")])
      const missing = yield* Effect.flip(Registry.find([join(root, "none")]))
      assert.deepStrictEqual([missing.reason._tag, missing[Runtime.errorExitCode]], ["FileError", 66])
      const none = yield* Effect.flip(Registry.read(join(root, "other")))
      assert.deepStrictEqual([none.reason._tag, none[Runtime.errorExitCode]], ["NoRun", 66])
    })))

  it.effect("tells the state of a run from its lock, stages and failed steps", () =>
    provided(Effect.gen(function*() {
      const log = rows([...steps("tokenizer", 1, 20), ...steps("pretrain", 1, 5)])
      const done = { "stages/tokenizer.json": {}, "stages/tokenizer.safetensors": "" }
      const stateOf = (name: string, more: Readonly<Record<string, unknown>>) => {
        run(at("state", name), { "log.jsonl": log, ...done, ...more })
        return Effect.map(Registry.read(at("state", name)), (found) => [
          found.state,
          ...found.stages.map(({ state }) => state)
        ])
      }
      assert.deepStrictEqual(yield* stateOf("mine", { lock: lock(process.pid) }), ["running", "finished", "running"])
      assert.deepStrictEqual(yield* stateOf("dead", { lock: lock(nobody) }), ["stopped", "finished", "stopped"])
      assert.deepStrictEqual(yield* stateOf("torn", { lock: "{" }), ["stopped", "finished", "stopped"])
      assert.deepStrictEqual(yield* stateOf("far", { lock: lock(nobody, "elsewhere") }), [
        "running",
        "finished",
        "running"
      ])
      assert.deepStrictEqual((yield* Registry.read(at("state", "far"))).owner, { pid: nobody, host: "elsewhere" })
      const failed = { "stages/replay/pretrain-step-6.safetensors": "" }
      assert.deepStrictEqual(yield* stateOf("failed", failed), ["failed", "finished", "failed"])
      const timed = {
        stage: "pretrain",
        step: 5,
        steps: 5,
        seconds: 10,
        secondsWaitedForData: 0,
        total: 20,
        batchSize: 4
      }
      const leftOf = (name: string, more: Readonly<Record<string, unknown>>) => {
        run(at("state", name), { "log.jsonl": log, ...done, "timings.jsonl": rows([timed]), ...more })
        return Effect.map(Registry.read(at("state", name)), ({ stages }) => stages[1]!.secondsLeft)
      }
      assert.deepStrictEqual([yield* leftOf("slow", {}), yield* leftOf("failed", failed)], [30, undefined])
      assert.strictEqual((yield* Registry.read(at("state", "failed"))).stages[1]!.failedAt, 6)
      assert.deepStrictEqual(
        yield* stateOf("past", { "stages/replay/pretrain-step-3.safetensors": "" }),
        ["stopped", "finished", "stopped"]
      )
      const all = { "stages/pretrain.json": {}, "stages/pretrain.safetensors": "" }
      assert.deepStrictEqual(yield* stateOf("all", all), ["finished", "finished", "finished"])
      const demo = { ...all, "stages/tokenizer-seconds.json": {} }
      assert.strictEqual((yield* stateOf("demo", demo))[0], "stopped")
      run(at("state", "new"), { lock: lock(process.pid) })
      assert.strictEqual((yield* Registry.read(at("state", "new"))).state, "running")
    })))

  it.effect("reads what is whole, and names what is damaged", () =>
    provided(Effect.gen(function*() {
      const odd = at("odd")
      run(odd, {
        "environment.json": "{",
        "report.json": "{\"preset\": 3}",
        "log.jsonl": `${rows(steps("pretrain", 1, 3))}garbage\n\u0000\n${rows(steps("pretrain", 4, 4))}{"stage":"pretr`,
        "timings.jsonl": "x\n",
        "notes.jsonl": "[\n",
        "results/probe-a.json": result(),
        "results/probe-b.json": "{}",
        "results/.tmp-1-probe-c.json": "{",
        "results/other.json": "{"
      })
      const before = contents(odd)
      const found = yield* Registry.read(odd)
      assert.strictEqual(found.stages[0]!.step, 4)
      assert.deepStrictEqual(found.figures.map(({ name, setting, value }) => [name, setting, value]), [
        ["probe/pretrain/val", "l2 0.1", 0.45]
      ])
      assert.deepStrictEqual(found.problems, [
        "environment.json is damaged (expected JSON (Expected property name or '}' in JSON at position 1 (line 1 column 2))); " +
        "restore it, or remove it",
        "report.json is damaged (preset: expected a text); run the demo on this folder again, which writes it anew",
        "results/probe-b.json is damaged (verb: missing key); remove it, and evaluate again",
        "notes.jsonl is damaged (line 1 cannot be read); remove these lines",
        "log.jsonl is damaged (lines 4, 5 cannot be read); restore them or remove them, because the run does not go on with them",
        "timings.jsonl is damaged (line 1 cannot be read); remove them; times and speeds lack what they held"
      ])
      assert.deepStrictEqual(contents(odd), before)
      assert.strictEqual((yield* Registry.list([folder])).filter(({ path }) => path === odd).length, 1)
    })))

  it.effect("names a log and timings without any whole line, but not a row that is being written", () =>
    provided(Effect.gen(function*() {
      const whole = rows(steps("pretrain", 1, 3))
      const problemsOf = (name: string, log: string) => {
        run(at("lines", name), { "log.jsonl": log })
        return Effect.map(
          Registry.read(at("lines", name)),
          ({ problems }) => problems.map((problem) => problem.split(";")[0])
        )
      }
      assert.deepStrictEqual(yield* problemsOf("growing", `${whole}{"stage":"pretr`), [])
      assert.deepStrictEqual(yield* problemsOf("zeros", `${whole}${"\u0000".repeat(100)}`), [
        "log.jsonl is damaged (line 4 cannot be read)"
      ])
      assert.deepStrictEqual(yield* problemsOf("other", "PK\u0003\u0004"), [
        "log.jsonl is damaged (line 1 cannot be read)"
      ])
      const long = `bad\n${rows(steps("pretrain", 1, 2000))}`
      const many = `${long}bad\n`.repeat(3)
      assert.deepStrictEqual(yield* problemsOf("many", many), [
        "log.jsonl is damaged (lines 1, 2002, 2003 and 3 more cannot be read)"
      ])
    })))

  it.effect("lists other runs beside one that nobody may read", () =>
    provided(Effect.gen(function*() {
      run(at("denied", "one"), { "log.jsonl": rows(steps("pretrain", 1, 3)) })
      chmodSync(at("denied", "one", "log.jsonl"), 0o000)
      const [one] = yield* Registry.list([at("denied")])
      // The user of a container may read all files.
      if (process.getuid?.() !== 0) assert.match(one!.problems.join(), /permission is denied/)
      assert.strictEqual(one!.path, at("denied", "one"))
    })))

  it.effect("knows length, speed, time and checkpoints of stages", () =>
    provided(Effect.gen(function*() {
      const timing = (step: number, taken: number, seconds: number, at: number, more = {}) => ({
        stage: "pretrain",
        step,
        seconds,
        steps: taken,
        secondsWaitedForData: seconds / 10,
        at: new Date(at * 1000).toISOString(),
        ...more
      })
      run(at("timed"), {
        "log.jsonl": rows(steps("pretrain", 1, 60)),
        "checkpoints/pretrain/step-00000040/state.json": {},
        "checkpoints/pretrain/step-00000050/state.json": {},
        "checkpoints/pretrain/.tmp-1-step-00000060/state.json": {},
        "timings.jsonl": rows([
          timing(10, 10, 20, 1020),
          timing(40, 40, 80, 1080),
          // Killed at step 45, and resumed.
          timing(50, 10, 10, 2010, { total: 100, batchSize: 4, megabytesOfProcess: 300 }),
          timing(60, 20, 30, 2030, { total: 100, batchSize: 4, megabytesOfProcess: 310 })
        ])
      })
      const found = yield* Registry.read(at("timed"))
      const [stage] = found.stages
      assert.deepStrictEqual([stage!.step, stage!.total, stage!.seconds, found.seconds], [60, 100, 110, 110])
      assert.deepStrictEqual([stage!.imagesPerSecond, stage!.secondsLeft], [2, 80])
      assert.deepStrictEqual(stage!.checkpoints, [40, 50])
      assert.strictEqual(found.began, new Date(1_000_000).toISOString())
      const { speed } = yield* RunCurves.read(at("timed"))
      const of = (metric: string) => speed.find((curve) => curve.metric === metric)!
      assert.deepStrictEqual(of("images per second").steps, [10, 40, 50, 60])
      assert.deepStrictEqual(of("images per second").values, [8, 8, 4, 2])
      assert.deepStrictEqual(of("memory of the process, MB").values, [300, 310])
      assert.deepStrictEqual(Array.from(of("waiting for data, %").values, Math.round), [10, 10, 10, 10])
    })))

  it.effect("shows one curve of a run that repeated steps, and a bounded one of a long log", () =>
    provided(Effect.gen(function*() {
      run(at("long"), {
        "log.jsonl": rows([
          ...steps("pretrain", 1, 6000, (step) => step === 4321 ? 99 : step === 2345 ? -99 : 1),
          ...steps("tokenizer", 1, 10, () => 1),
          { stage: "tokenizer", step: 11, loss: null },
          ...steps("tokenizer", 8, 12, () => 2)
        ])
      })
      const { end, measured } = yield* RunCurves.read(at("long"), { points: 100 })
      const of = (stage: string) => measured.find((curve) => curve.stage === stage && curve.metric === "loss")!
      assert.isAtMost(of("pretrain").steps.length, 100)
      const values = Array.from(of("pretrain").values)
      assert.deepStrictEqual([Math.min(...values), Math.max(...values)], [-99, 99])
      assert.deepStrictEqual(of("tokenizer").values, [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
      assert.strictEqual(end, statSync(at("long", "log.jsonl")).size)
    })))

  it.effect("compares settings, figures and curves, and calls noise noise", () =>
    provided(Effect.gen(function*() {
      const one = at("pair", "one")
      const two = at("pair", "two")
      const log = { "log.jsonl": rows(steps("pretrain", 1, 3)) }
      run(one, {
        ...log,
        "results/probe-a.json": result(),
        "results/probe-b.json": result({ split: "far", images: 300 })
      })
      run(two, {
        ...log,
        "config.json": { pretrain: { optimizer: { batchSize: 16, unit: "epochs", duration: 3, lr: 0.004 } } },
        "environment.json": { node: "v23", cores: 2 },
        "results/probe-a.json": result({ top1: 0.47, interval: [0.43, 0.51] }),
        "results/probe-b.json": result({
          split: "far",
          top1: 0.6,
          interval: [0.57, 0.63],
          digests: { weights: "w", train: "t", images: "others" }
        })
      })
      const found = yield* Comparison.diff([one, two])
      assert.deepStrictEqual(found.names, ["one", "two"])
      assert.deepStrictEqual(found.config.map(({ key, values }) => [key, values[1]]), [
        ["tokenizer", "absent"],
        ["pretrain.optimizer.lr", "0.004"]
      ])
      assert.deepStrictEqual(found.environment, [{ key: "node", values: ["\"v22\"", "\"v23\""] }])
      const [far, val] = found.figures
      assert.match(Comparison.verdict(val!, 1), /^\+2\.0 points, 95 %: −3\.7 to \+7\.7: within the noise$/)
      assert.match(Comparison.verdict(far!, 1), /a clear difference; measured with other images$/)
      assert.strictEqual(Comparison.verdict(val!, 0), "")
      const curves = yield* Comparison.curves([one, two])
      assert.deepStrictEqual(
        curves.filter(({ metric }) => metric === "loss").map(({ baseline, run }) => [run, baseline]),
        [["one", true], ["two", false]]
      )
      const ranked = yield* best([at("pair")], "probe/val")
      assert.deepStrictEqual(ranked.map(({ run: { path } }) => path), [two, one])
      assert.isFalse(ranked[1]!.toBest!.isClear)
      const losses = yield* best([at("pair")], "pretrain/loss", { depth: 1 })
      assert.closeTo(losses[0]!.figure.value, 1 / 3, 1e-12)
      const error = yield* Effect.flip(best([at("pair")], "probe/vla"))
      assert.match(error.message, /no figure "probe\/vla".*probe\/pretrain\/val/s)
      assert.strictEqual(error[Runtime.errorExitCode], 66)
    })))

  it.effect("compares figures that the first run lacks with the first run that has them", () =>
    provided(Effect.gen(function*() {
      const probe = (top1: number, images = "i") =>
        result({ top1, interval: [top1 - 0.01, top1 + 0.01], digests: { weights: "w", train: "t", images } })
      run(at("lacking", "none"))
      run(at("lacking", "one"), { "results/probe-a.json": probe(0.3) })
      run(at("lacking", "two"), { "results/probe-a.json": probe(0.5, "others") })
      const rowOf = (...names: ReadonlyArray<string>) =>
        Effect.map(Comparison.diff(names.map((name) => at("lacking", name))), ({ figures }) => figures[0]!)
      const row = yield* rowOf("none", "one", "two")
      assert.deepStrictEqual(row.reference, { index: 1, name: "one" })
      assert.deepStrictEqual([0, 1].map((i) => Comparison.verdict(row, i)), ["", ""])
      assert.match(
        Comparison.verdict(row, 2),
        /^to one: \+20\.0 points.*: a clear difference; measured with other images$/
      )
      const first = yield* rowOf("one", "none", "two")
      assert.match(Comparison.verdict(first, 2), /^\+20\.0 points/)
      assert.strictEqual(Comparison.verdict(first, 1), "")

      const { interval: _, ...bare } = row.figures[1]!
      const other = { ...bare, measuredOn: "others" }
      const unknown = { ...row, figures: [bare, other, bare], reference: { index: 0, name: "one" }, differences: [] }
      assert.deepStrictEqual([0, 1, 2].map((i) => Comparison.verdict(unknown, i)), [
        "",
        "measured with other images",
        ""
      ])

      const ranked = yield* best([at("lacking")], "probe/val")
      assert.deepStrictEqual(ranked.map(({ differing }) => differing), [undefined, ["other images"]])
      assert.match(RunsText.ranking(ranked), /one .* clearly behind; measured with other images /)
    })))

  it.effect("tells pretrainings on different tokenizers apart", () =>
    provided(Effect.gen(function*() {
      const pretrained = Effect.fnUntraced(function*(name: string, teacherDigest: string) {
        run(at("taught", name), { "stages/pretrain.json": {} })
        const about = { stage: "pretrain", configDigest: "", dataDigest: "", teacher: "tokenizer", step: 3, seed: 0 }
        const weights = Weights.make({}, new Weights.Provenance({ ...about, teacherDigest }))
        yield* Weights.write(at("taught", name, "stages", "pretrain.safetensors"), weights)
        return at("taught", name)
      })
      const one = yield* pretrained("one", "a".repeat(64))
      const two = yield* pretrained("two", "b".repeat(64))
      run(at("taught", "none"))
      assert.deepStrictEqual((yield* Comparison.diff([one, two, one])).config, [
        { key: "tokenizer of pretrain (SHA-256)", values: ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "aaaaaaaaaaaa"] }
      ])
      assert.deepStrictEqual((yield* Comparison.diff([one, one, at("taught", "none")])).config, [])
    })))

  it.effect("has the figures of drawn pictures, in their units", () =>
    provided(Effect.gen(function*() {
      const drawn = (psnr: number) => ({
        verb: "decoder",
        network: "decoder",
        split: "val",
        images: 10,
        methods: { decoder: { psnr: { mean: psnr, interval: [psnr - 1, psnr + 1] }, ssim: { mean: 0.5 } } },
        codeAccuracy: 0.25,
        digests: { images: "i" },
        settings: {},
        computedOn: result().computedOn,
        patchword: "0.1.0"
      })
      run(at("drawn", "one"), { "results/decoder-val-1.json": drawn(20) })
      run(at("drawn", "two"), { "results/decoder-val-2.json": drawn(25) })
      const { figures } = yield* Comparison.diff([at("drawn", "one"), at("drawn", "two")])
      assert.deepStrictEqual(figures.map(({ name }) => name), [
        "decoder/decoder/val/codeAccuracy",
        "decoder/decoder/val/decoder/psnr",
        "decoder/decoder/val/decoder/ssim"
      ])
      assert.match(Comparison.verdict(figures[1]!, 1), /^\+5, 95 %: \+3\.586 to \+6\.414: a clear difference$/)
      assert.match(RunsText.show(yield* Registry.read(at("drawn", "one"))), /codeAccuracy +25\.0 % of patches +10$/m)
      assert.strictEqual(RunFacts.value(figures[0]!.figures[0]!), "25.0\u202f% of patches")
      assert.strictEqual((yield* best([at("drawn")], "decoder/psnr"))[0]!.figure.value, 25)
    })))

  it.effect("compares only equal settings where a run has several", () =>
    provided(Effect.gen(function*() {
      const knn = (neighbours: number, top1: number) => ({
        ...result({ verb: "knn", top1, interval: [top1 - 0.05, top1 + 0.05] }),
        settings: { config: {}, neighbours }
      })
      run(at("knn", "one"), { "results/knn-a.json": knn(5, 0.3), "results/knn-b.json": knn(20, 0.4) })
      run(at("knn", "two"), { "results/knn-a.json": knn(20, 0.5) })
      const { figures } = yield* Comparison.diff([at("knn", "one"), at("knn", "two")])
      assert.deepStrictEqual(figures.map(({ figures, name }) => [name, ...figures.map((one) => one?.value)]), [
        ["knn/pretrain/val (k 20)", 0.4, 0.5],
        ["knn/pretrain/val (k 5)", 0.3, undefined]
      ])
    })))

  it.live("reads a run while it trains, and after it", () =>
    Effect.gen(function*() {
      const place = at("real")
      const seen: Array<Registry.Run> = []
      const looking = recording([], ({ step }) =>
        step === 5
          ? Effect.orDie(Effect.map(provided(Registry.read(place)), (found) => void seen.push(found)))
          : Effect.void)
      yield* trainTokenizer(micro().tokenizer, { checkpointEvery: 4 }).pipe(
        Effect.provideService(Progress, looking),
        Effect.provide(Layer.merge(machine, Runs.layer(place, { config: { tokenizer: { seed: 0 } } })))
      )
      const { stages: [during], state } = seen[0]!
      assert.deepStrictEqual([state, during!.state, during!.step, during!.total], ["running", "running", 5, 8])
      assert.deepStrictEqual(during!.checkpoints, [4])
      assert.isAbove(during!.imagesPerSecond!, 0)
      assert.isAbove(during!.last!["loss"]!, 0)
      const after = yield* provided(Registry.read(place))
      assert.deepStrictEqual([after.state, after.stages[0]!.step, after.problems], ["finished", 8, []])
      assert.isUndefined(after.owner)
      const { measured, speed } = yield* provided(RunCurves.read(place))
      assert.deepStrictEqual(measured.find(({ metric }) => metric === "loss")!.steps, [1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepStrictEqual(speed.find(({ metric }) => metric === "images per second")!.steps, [1, 8])
    }))
})
