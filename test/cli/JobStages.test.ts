import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Runtime } from "effect"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { checkStages } from "../../src/pipelines/CheckStages.ts"
import { said } from "./kit.ts"

const refused = (stages: string) =>
  said("jobs", "submit", "--store", "none", "--out", "none", "--images", "none", "--stages", stages).pipe(
    Effect.flip,
    Effect.map(String),
    Effect.provide(NodeServices.layer)
  )

describe("the stages of a job", () => {
  it.effect("come after those whose networks they take, each once", () =>
    Effect.gen(function*() {
      assert.include(yield* refused("probe,pretrain"), "expected probe after pretrain, whose network it takes")
      assert.include(yield* refused("decoder,knn,tokenizer"), "expected decoder after tokenizer")
      assert.include(yield* refused("tokenizer,tokenizer"), "each once")
      assert.include(yield* refused("tokeniser"), "expected tokenizer")
    }))

  it.effect("of other work are checked before they wait", () =>
    Effect.gen(function*() {
      const told = (...words: ReadonlyArray<string>) =>
        said("jobs", "submit", ...words, "--store", "none", "--images", "none").pipe(Effect.flip, Effect.map(String))
      assert.include(yield* told("study", "table9"), "expected table4, table5 or table6, got table9")
      assert.include(yield* told("study", "table5/last"), "expected one of the rows none, shared, separate")
      assert.include(yield* told("study", "table5", "--seeds", "0,0"), "expected different whole numbers")
      const other = ["--set", "pretrain.vit.heads=2"]
      assert.include(
        yield* told("study", "table5/none,shared", ...other),
        "the row none: finetune: vit.heads: expected 2, the value that the weights were trained with, got 4"
      )
      const small = ["--set", "tokenizer.encoder.patchSize=6", "--set", "finetune.vit.imageSize=56"]
      assert.include(
        yield* told("study", "table6/encoder-hog", ...small),
        "the row encoder-hog: finetune: vit.patchSize: expected a divisor of imageSize 56, got 6"
      )
      assert.include(
        yield* told("--out", "none", "--stages", "tokenizer,pretrain,finetune", ...other),
        "finetune: vit.heads: expected 2"
      )
      assert.include(
        yield* told("--out", "none", "--stages", "tokenizer,pretrain,segment", ...other),
        "segment: vit.heads: expected 2"
      )
      assert.include(
        yield* told("--out", "none", "--set", "tokenizer.encoder.patchSize=12"),
        "pretrain: vit.imageSize: expected as many patches as the tokenizer's"
      )
      const shapes = ["width=72", "depth=4", "mlpRatio=3", "layerScale=0", "qkvBias=false", "absolutePositions=false"]
      for (const shape of [...shapes, "relativePositions=none"]) {
        const [key, value] = shape.split("=")
        assert.match(
          yield* told("study", "table5/none", "--set", `finetune.vit.${shape}`),
          new RegExp(
            `the row none: finetune: vit.${key}: expected .*, the value of pretrain, got ${
              value === "none" ? "\"none\"" : value
            }`
          )
        )
      }
      assert.include(
        yield* told("encode", "run", "--shards", "s", "--out", "codes.npz"),
        "write --out codes.safetensors"
      )
      assert.include(
        yield* told("cache", "cache", "--shards", "s", "--set", "pretrain.optimizer.lr=1"),
        "expected a value of tokenizer"
      )
      const folder =
        "--shards: expected another place than that of the result, codes.safetensors, got codes.safetensors/"
      const same = ["--shards", "codes.safetensors/", "--images", "none"]
      assert.include(yield* told("cache", "codes.safetensors", "--shards", "codes.safetensors/"), folder)
      assert.include(
        yield* told("encode", "run", "--out", "codes.safetensors", "--shards", "codes.safetensors/"),
        folder
      )
      const alone = [["tokenizer", "cache", "codes.safetensors"], ["encode", "run", "--out", "codes.safetensors"]]
      for (const words of alone) {
        const error = yield* Effect.flip(said(...words, ...same))
        assert.include(String(error), "--shards: expected another place than that of the result")
        assert.include(String(error), "/codes.safetensors, got codes.safetensors/")
        assert.strictEqual((error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode], 64)
      }
      assert.include(yield* told("cache", "cache", "--shards", "s", "--workers", "0"), "--workers: expected 1 or more")
      assert.include(yield* told("encode", "run", "--out", "codes.safetensors"), "--shards is missing")
      assert.isFalse(yield* (yield* FileSystem.FileSystem).exists("none"))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("of every preset fit each other", () =>
    Effect.forEach(
      Object.values(Presets.all),
      (preset) =>
        checkStages(preset, ["tokenizer", "pretrain", "finetune", ...(preset.segmentation === null ? [] : ["segment"])])
    ))

  it.effect("are looked up in a store that is there", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const listed = (store: string) => Effect.map(Effect.flip(said("jobs", "list", "--store", store)), String)
      assert.include(yield* listed(`${folder}/none`), "got a folder without jobs")
      assert.isFalse(yield* fs.exists(`${folder}/none`))
      yield* fs.writeFileString(`${folder}/notes.txt`, "x")
      assert.include(yield* listed(folder), "got a folder of other files")
      assert.deepStrictEqual(yield* fs.readDirectory(folder), ["notes.txt"])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
