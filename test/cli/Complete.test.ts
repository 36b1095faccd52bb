import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import sharp from "sharp"
import { afterAll, beforeAll } from "vitest"
import type * as Fidelity from "../../src/domain/fidelity/Fidelity.ts"
import * as CompletionSample from "../../src/layers/run/CompletionSample.ts"
import * as FidelityResults from "../../src/layers/run/FidelityResults.ts"
import * as Results from "../../src/layers/run/Results.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Registry from "../../src/pipelines/runs/Registry.ts"
import * as Exported from "../../src/studio/Exported.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { draw, found, said, writeConfig } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-complete-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const [run, config] = [at("run"), at("micro.yaml")]

const plainly = ["--images", at("images"), "--threads", "1"]
const common = ["--config", config, ...plainly]
const short = ["batchSize=8", "duration=2", "warmup=1"].flatMap((one) => ["--set", `decoder.optimizer.${one}`])

interface Figures {
  readonly split: string
  readonly images: number
  readonly methods: Readonly<Record<string, Fidelity.Fidelity>>
}

describe("patchword decoder and patchword complete", () => {
  beforeAll(async () => {
    writeConfig(config)
    await draw(at("images"))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("draw images from codes, and fill masked patches", () =>
    Effect.gen(function*() {
      yield* found("tokenizer", "train", ...common, "--out", run)
      yield* found("pretrain", "--tokenizer", run, ...common, "--out", run)
      const trained = yield* found("decoder", "train", "--tokenizer", run, ...plainly, ...short, "--out", run)
      assert.strictEqual(trained.step, 2)
      assert.isTrue(existsSync(at("run", "stages", "decoder.safetensors")))
      const measured = yield* found("decoder", "evaluate", run, ...plainly, "--tests", "val,test")
      const figures = measured.figures as ReadonlyArray<Figures>
      assert.deepStrictEqual(figures.map(({ images, split }) => [split, images]), [["val", 12], ["test", 12]])
      assert.hasAllKeys(figures[0]!.methods, ["decoder", "meanPatch", "meanColour"])
      const table = yield* said("decoder", "evaluate", run, ...plainly)
      assert.match(table, /val +12 +mean patch of each code +\d+\.\d\d +\d+\.\d\d to \d+\.\d\d/)

      const complete = ["complete", run, ...plainly, "--split", "val"]
      const made = yield* found(...complete, "--examples", "3", "--out", at("completed"))
      assert.strictEqual(made.written, 3)
      assert.deepStrictEqual(readdirSync(at("completed")).toSorted(), [
        ...["00", "04", "08"].flatMap((index) =>
          ["completed", "decoded", "masked", "original"].map((kind) => `${index}-${kind}.png`)
        ),
        "figures.json"
      ])
      const { height, width } = yield* Effect.promise(() => sharp(at("completed", "04-masked.png")).metadata())
      assert.deepStrictEqual([width, height], [32, 32])
      const kept = JSON.parse(readFileSync(at("completed", "figures.json"), "utf8")) as Figures & {
        readonly images: ReadonlyArray<{ readonly image: string; readonly completed: string }>
      }
      assert.deepStrictEqual(kept.images[1]!.completed, "04-completed.png")
      assert.include(kept.images[1]!.image, ".png")

      const taken = (yield* Effect.flip(said(...complete, "--out", at("completed")))) as {
        readonly [Runtime.errorExitCode]: number
      }
      assert.isAtLeast(taken[Runtime.errorExitCode], 64)
      const none = yield* Effect.flip(said(...complete, "--examples", "0", "--out", at("none")))
      assert.include(String(none), "1 or more")
      const decode = ["--replace", "--visible", "decode", "--examples", "2"]
      const again = yield* said(...complete, ...decode, "--out", relative("", at("completed")))
      assert.match(again, new RegExp(`^folder +${at("completed")}$`, "m"))
      assert.deepStrictEqual(readdirSync(at("completed")).filter((name) => name.endsWith("-masked.png")).toSorted(), [
        "00-masked.png",
        "06-masked.png"
      ])
      assert.strictEqual(JSON.parse(readFileSync(at("completed", "figures.json"), "utf8")).visible, "decode")
      assert.include(again, "drawn, too, by each row in its own way")
      writeFileSync(at("completed", "note.txt"), "mine")
      const foreign = yield* Effect.flip(said(...complete, ...decode, "--out", at("completed")))
      assert.include(String(foreign), "got a folder with other files")
      assert.isTrue(existsSync(at("completed", "note.txt")))
      const figuresOf = (yield* Registry.read(run)).figures.map(({ name }) => name)
      assert.strictEqual(new Set(figuresOf).size, figuresOf.length)
      assert.include(figuresOf, "complete/pretrain/val/completed/ssim")
      assert.include(figuresOf, "complete-decode/pretrain/val/completed/ssim")
      assert.include(again, "predicted codes, drawn by the decoder")
      assert.include(again, "right codes")

      const [results, [samples]] = [yield* FidelityResults.read(run), yield* CompletionSample.read(run)]
      assert.deepStrictEqual(results.map(({ split, verb }) => `${verb} ${split}`), [
        "complete val",
        "complete val",
        "decoder test",
        "decoder val"
      ])
      assert.deepStrictEqual(samples.map(({ shown, split }) => [split, shown.length]), [["val", 2]])
      assert.deepStrictEqual(yield* Results.read(run), [])
      const described = yield* said("inspect", run)
      assert.include(described, "decoder")
      const [file] = readdirSync(at("run", "results"))
      assert.include(yield* said("inspect", at("run", "results", file!)), "figures of pictures that networks draw")
      assert.include(yield* said("inspect", at("run", "completion", "val.json")), "completed images, with figures")

      const shown = Effect.map(found("runs", "show", run), ({ problems }) => problems as ReadonlyArray<string>)
      assert.deepStrictEqual(yield* shown, [])
      const stage = at("run", "stages", "decoder.safetensors")
      const weights = yield* Weights.read(stage)
      const tensors = Object.fromEntries(
        Object.entries(weights.tensors).map((
          [name, one]
        ) => [name, { ...one, data: one.data.map((value) => value + 1) }])
      )
      yield* Weights.write(stage, { ...weights, tensors } as unknown as typeof weights)
      const digest = (made: Weights.Tensors) => digestOf(made).slice(0, 12)
      const told = "the completion of val (its decoder) was made of other weights than the run has now (SHA-256 " +
        `${digest(weights.tensors)}; now decoder ${digest(tensors as unknown as Weights.Tensors)})`
      assert.deepStrictEqual(yield* shown, [`${told}. Make it again`])
      assert.include(yield* Exported.render([run]), `Careful: ${told}`)
      const place = at("run", "completion", "val.json")
      const sample = JSON.parse(readFileSync(place, "utf8"))
      delete sample.weights.decoder
      writeFileSync(place, JSON.stringify(sample))
      assert.deepStrictEqual(yield* shown, [])

      writeFileSync(at("run", "completion", "val.json"), "{}")
      const [whole, damaged] = yield* CompletionSample.read(run)
      assert.deepStrictEqual([whole, damaged.map(({ reason }) => reason._tag)], [[], ["NoResult"]])
    }).pipe(Effect.provide(NodeServices.layer)), 120_000)

  it.live(
    "take the settings of a run of a former version, and refuse one without settings of a decoder",
    () =>
      Effect.gen(function*() {
        const old = at("old")
        yield* found("tokenizer", "train", ...common, "--out", old)
        const { decoder: _, ...rest } = JSON.parse(readFileSync(join(old, "config.json"), "utf8")) as Record<
          string,
          unknown
        >
        writeFileSync(join(old, "config.json"), JSON.stringify(rest))
        const none = yield* Effect.flip(said("decoder", "train", "--tokenizer", old, ...plainly, "--out", old))
        assert.include(
          (none as Error).message,
          "decoder: expected settings, but this configuration is of a former version"
        )
        const given = ["--preset", "tiny", ...common, ...short]
        const trained = yield* found("decoder", "train", "--tokenizer", old, ...given, "--out", old)
        assert.strictEqual(trained.step, 2)
      }).pipe(Effect.provide(NodeServices.layer)),
    120_000
  )
})
