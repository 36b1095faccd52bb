import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { DecoderConfig } from "../../src/domain/config/DecoderConfig.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as CompletionSample from "../../src/layers/run/CompletionSample.ts"
import * as Results from "../../src/layers/run/Results.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { demo } from "../../src/pipelines/Demo.ts"
import * as HealthFile from "../../src/pipelines/doctor/HealthFile.ts"
import { engine, micro, set, teacher } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-demo-"))

const splits = ["train", "val", "in-new", "flat-new", "3d-new", "flat-seen", "3d-seen"]
const images = Images.layerMemory(splits.map((name) => set(name, name === "train" ? 24 : 12)))

describe("the demo", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect("keeps every figure that it reports, and shows what is kept", () =>
    Effect.gen(function*() {
      const run = join(folder, "run")
      const plain = micro({ duration: 2, warmup: 1 })
      const decoder = new DecoderConfig({
        ...Presets.tiny.decoder!,
        width: 16,
        depth: 1,
        heads: 2,
        optimizer: plain.pretrain.optimizer,
        augment: plain.pretrain.augment
      })
      const report = yield* demo(new Preset({ ...plain, decoder }), { preset: "micro" }).pipe(
        Effect.provide(
          Layer.mergeAll(engine, teacher, Runs.layer(run, { config: {} })).pipe(Layer.provideMerge(images))
        )
      )
      const results = yield* Results.read(run)
      assert.strictEqual(results.length, 5 * (2 * 3 + 2))
      const of = (verb: string, network: string, split: string) =>
        results.find((one) => one.verb === verb && one.network === network && one.split === split)!
      assert.strictEqual(of("probe", "pretrain", "in-new").top1, report.probe.pretrained)
      assert.strictEqual(of("knn", "random", "3d-new").top1, report.rendition["3d"].knn.random)
      assert.strictEqual(
        of("finetune", "finetune-pretrained", "flat-seen").top1,
        report.renditionSeen.flat.finetune.pretrained
      )
      assert.deepInclude(of("probe", "tokenizer", "in-new").settings, { chosenOn: "val" })
      const health = Option.getOrThrow(yield* HealthFile.read(run))
      assert.deepStrictEqual([health.images?.split, health.images?.images], ["in-new", 12])
      assert.deepStrictEqual(health.stages.map(({ finished, stage }) => [stage, finished]), [
        ["tokenizer", true],
        ["pretrain", true]
      ])
      const page = readFileSync(join(run, "report.html"), "utf8")
      assert.include(page, "finetune of finetune-pretrained")
      assert.match(page, /<th scope="col">Setting<\/th>[^]*, chosen on val<\/td>/)
      assert.include(page, "finetune: accuracy of each training batch")
      assert.include(page, "Behind the mask, drawn</h2>")
      assert.property(report.seconds, "completion")
      const [[completed]] = yield* CompletionSample.read(run)
      assert.strictEqual(completed!.shown.length, 8)
      assert.include(page, completed!.shown[7]!.completed)

      yield* Results.save(run, results)
      const kept = () => readdirSync(join(run, "results")).filter((name) => !name.startsWith("complete-")).length
      assert.strictEqual(kept(), results.length)
      yield* Results.save(run, [{ ...results[0]!, settings: { other: true } }])
      assert.strictEqual(kept(), results.length + 1)
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)
})
