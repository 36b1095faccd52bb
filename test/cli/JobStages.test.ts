import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
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
      assert.include(
        yield* told("encode", "run", "--shards", "s", "--out", "codes.npz"),
        "write --out codes.safetensors"
      )
      assert.include(
        yield* told("cache", "cache", "--shards", "s", "--set", "pretrain.optimizer.lr=1"),
        "expected a value of tokenizer"
      )
      assert.include(yield* told("cache", "cache", "--shards", "s", "--workers", "0"), "--workers: expected 1 or more")
      assert.include(yield* told("encode", "run", "--out", "codes.safetensors"), "--shards is missing")
      assert.isFalse(yield* (yield* FileSystem.FileSystem).exists("none"))
    }).pipe(Effect.provide(NodeServices.layer)))

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
