import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { stringify } from "yaml"
import { Preset } from "../../src/domain/config/Preset.ts"
import { micro } from "../pipelines/kit.ts"
import { draw, found, hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-holdout-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const plainly = ["--images", at("images", "train"), "--threads", "1"]
const common = ["--config", at("micro.yaml"), ...plainly]

const json = (file: string) => JSON.parse(readFileSync(file, "utf8"))

describe("--holdout", () => {
  beforeAll(async () => {
    const preset = Schema.encodeSync(Schema.toCodecJson(Preset))(micro({ duration: 2, warmup: 1 }))
    writeFileSync(at("micro.yaml"), stringify(preset))
    await draw(at("images"))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("divides folders of classes alike in every verb, and is part of a run", () =>
    Effect.gen(function*() {
      const holdout = ["--holdout", "0.25"]
      const tuned = yield* found("finetune", ...common, ...holdout, "--out", at("run"))
      assert.deepNestedInclude(tuned, { "figures[0].split": "val", "figures[0].images": 6 })
      const recorded = { share: 0.25, seed: 0 }
      assert.deepStrictEqual(json(at("run", "config.json")).holdout, recorded)
      const { digests, settings } = json((tuned.results as ReadonlyArray<string>)[0]!)
      assert.deepStrictEqual(settings.holdout, recorded)

      const seen = yield* found("inspect", at("run", "stages", "finetune.safetensors"))
      assert.deepNestedInclude(seen, { "provenance.holdout.share": 0.25, "provenance.holdout.seed": 0 })
      const shown = yield* said("inspect", at("run", "stages", "finetune.safetensors"))
      assert.match(shown, /^held out +0\.25 of each class, holdout seed 0$/m)

      const whole: Array<string> = []
      yield* found("finetune", ...common, "--tests", "train", "--out", at("whole"))
      yield* found("knn", at("whole"), ...common, ...holdout, "--out", at("other")).pipe(hearing(whole))
      assert.include(
        whole,
        "the network was trained on all of these images: it has seen those that are held out now"
      )

      const told: Array<string> = []
      const near = yield* found("knn", at("run"), ...common, ...holdout).pipe(hearing(told))
      assert.notInclude(told.join(), "held out")
      yield* found("knn", at("run"), ...common, "--holdout", "0.5", "--out", at("other")).pipe(hearing(told))
      assert.include(told.join(), "the network was trained with --holdout 0.25 --holdout-seed 0: it may have seen")
      assert.notInclude(told.join(), "other images held out")
      const other = json((near.results as ReadonlyArray<string>)[0]!)
      assert.deepStrictEqual(other.settings.holdout, recorded)
      assert.deepStrictEqual([other.digests.train, other.digests.images], [digests.train, digests.images])

      const changed = yield* Effect.flip(said("finetune", ...common, "--holdout", "0.5", "--out", at("run")))
      assert.match(String(changed), /holdout\.share: .*0\.25.*0\.5/)
      const none = yield* Effect.flip(said("finetune", ...common, "--tests", "train", "--out", at("run")))
      assert.match(String(none), /holdout/)
      assert.match(String(yield* Effect.flip(said("knn", at("run"), ...common))), /no split "val".*--holdout/)

      const disc = readdirSync(at("images", "train", "disc"))
      for (const name of disc.slice(0, 4)) {
        renameSync(at("images", "train", "disc", name), at("images", "train", "disc", `new-${name}`))
      }
      const verbs = [
        ["knn", at("run"), ...common, "--out", at("other")],
        ["probe", at("run"), ...common, "--out", at("other")],
        ["finetune", "--from", at("run"), ...common, "--out", at("tuned")],
        ["predict", at("run"), ...plainly, "--split", "val"],
        ["features", at("run"), ...plainly, "--split", "val", "--out", at("val.safetensors")]
      ]
      for (const verb of verbs) {
        const warned: Array<string> = []
        yield* said(...verb, ...holdout).pipe(hearing(warned))
        const moved = warned.filter((line) => line.startsWith("the network was trained with other images held out"))
        assert.lengthOf(moved, 1, verb[0])
      }
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)
})
