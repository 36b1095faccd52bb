import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { stringify } from "yaml"
import * as Kept from "../../src/cli/terminal/Kept.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Results from "../../src/layers/run/Results.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as ModelFolder from "../../src/pipelines/artifacts/ModelFolder.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import { classes, micro } from "../pipelines/kit.ts"
import { draw, found, hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-evaluate-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const { finetune, pretrain } = micro()
const common = [at("classifier"), "--images", at("images"), "--tests", "val", "--threads", "1"]

const written = Effect.gen(function*() {
  const tensors = Weights.flatten(Parameter.initialise(Classifier.spec({ ...finetune, headScale: 1 }, 3), 1))
  yield* ModelFolder.write(at("classifier"), { _tag: "Classifier", config: finetune, classes, tensors }, {
    name: "any"
  })
  const backbone = { _tag: "Backbone", ...Backbone.untrained(pretrain, 16) } as const
  yield* ModelFolder.write(at("backbone"), backbone, { name: "any" })
})

describe("evaluate", () => {
  beforeAll(async () => {
    await draw(at("images"))
    await Effect.runPromise(Effect.provide(written, NodeServices.layer))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("measures a classifier, and keeps its classes and confusions", () =>
    Effect.gen(function*() {
      const shown = yield* found("evaluate", ...common, "--out", at("kept"))
      const [file] = shown.results as ReadonlyArray<string>
      const kept = JSON.parse(readFileSync(file!, "utf8"))
      assert.deepInclude(kept, { verb: "finetune", split: "val", images: 12 })
      assert.deepStrictEqual(shown.accuracy, { val: kept.top1 })
      assert.deepStrictEqual(shown.loss, { val: kept.report.loss })
      const right = kept.report.perClass.reduce((sum: number, one: { readonly right: number }) => sum + one.right, 0)
      assert.strictEqual(right / 12, kept.top1)
      const csv = (ending: string) => readFileSync(file!.replace(/\.json$/, ending), "utf8").trim().split("\n")
      const [title, ...rows] = csv(".classes.csv")
      assert.strictEqual(title, "class,images,right,top1")
      assert.deepStrictEqual(rows.map((row) => row.split(",").slice(0, 2)), classes.map((name) => [name, "4"]))
      const confused = csv(".confusions.csv").slice(1).map((row) => Number(row.split(",")[2]))
      assert.strictEqual(confused.reduce((a, b) => a + b, 0), 12 - right)

      const text = yield* said("evaluate", ...common)
      assert.match(text, /results +not kept: the network belongs to no run/)
      assert.match(text, new RegExp(`val +${kept.report.loss.toFixed(3)} +12 +3`))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("prints figures that it cannot keep, then fails", () =>
    Effect.gen(function*() {
      mkdirSync(at("taken"))
      writeFileSync(at("taken", "results"), "")
      const lines: Array<string> = []
      const print = (results: string | ReadonlyArray<string>) => Effect.sync(() => void lines.push(String(results)))
      const shown = yield* found("evaluate", ...common, "--out", at("kept"))
      const [file] = shown.results as ReadonlyArray<string>
      const result = Schema.decodeUnknownSync(Results.Result)(JSON.parse(readFileSync(file!, "utf8")))
      const error = yield* Effect.flip(Kept.keep(Option.some(at("taken")), [result], false, print))
      assert.include(error.message, at("taken", "results"))
      assert.deepStrictEqual(lines, ["not kept: see below"])
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live(
    "measures the averaged and the best network beside a fine-tuned one, and takes each of them",
    () =>
      Effect.gen(function*() {
        const run = at("run")
        const config = at("micro.yaml")
        const preset = micro({ unit: "epochs", duration: 2, warmup: 1 })
        writeFileSync(config, stringify(Schema.encodeSync(Schema.toCodecJson(Preset))(preset)))
        const sets = ["--images", at("images"), "--tests", "test", "--threads", "1"]
        const tuning = ["finetune", ...sets, "--config", config, "--set", "finetune.ema=0.5", "--validation", "val"]
        const tuned = yield* found(...tuning, "--out", run)
        assert.hasAllKeys(tuned.others, ["finetune-ema", "finetune-best"])
        const others = tuned.others as Readonly<Record<string, { readonly loss: object }>>
        const told: Array<string> = []
        const whole = yield* found("evaluate", run, ...sets).pipe(hearing(told))
        assert.match(told.join("\n"), /stage: finetune of .*, which holds finetune, finetune-best, finetune-ema/)
        assert.deepStrictEqual(whole.loss, tuned.loss)
        for (const name of ["finetune-ema", "finetune-best"]) {
          const one = yield* found("evaluate", `${run}/${name}`, ...sets)
          assert.deepStrictEqual(one.loss, others[name]!.loss)
        }
        const inspected = yield* found("inspect", run)
        const stages = inspected.stages as ReadonlyArray<{ readonly stage: string; readonly lastEvaluation?: object }>
        assert.deepStrictEqual(stages.map(({ stage }) => stage), ["finetune", "finetune-best", "finetune-ema"])
        assert.containsAllKeys(stages[0]!.lastEvaluation, ["top1", "loss", "averagedTop1", "averagedLoss"])
        assert.match(yield* said("inspect", run), /evaluation +top1 [\d.]+, loss [\d.]+, .*, after step 6\n/)
        const text = yield* said(...tuning, "--out", run)
        assert.match(
          text,
          /\nsplit +network +loss +images .*\ntest +finetune .*\ntest +finetune-ema .*\ntest +finetune-best /
        )
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("takes another crop, and says what cannot be", () =>
    Effect.gen(function*() {
      const losses = yield* Effect.forEach(["1", "0.5"], (crop) => found("evaluate", ...common, "--crop", crop))
      assert.notDeepEqual(losses[0]!.loss, losses[1]!.loss)
      const crop = yield* Effect.flip(said("evaluate", ...common, "--crop", "2"))
      assert.include(String(crop), "evaluationCrop: expected a number above 0 and at most 1, got 2")
      const backbone = yield* Effect.flip(said("evaluate", at("backbone"), ...common.slice(1)))
      assert.include(String(backbone), "these are the weights of a backbone, not of a classifier")
    }).pipe(Effect.provide(NodeServices.layer)))
})
