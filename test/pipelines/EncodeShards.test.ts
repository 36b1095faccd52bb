import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import * as Runs from "../../src/layers/run/Runs.ts"
import { encodeAll } from "../../src/pipelines/evaluate/Encode.ts"
import { encodeShards } from "../../src/pipelines/evaluate/EncodeShards.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { engine, images, micro, set, teacher } from "./kit.ts"

describe("Encoding in shards", () => {
  it.live("gives all processes the codes of one process", () =>
    Effect.gen(function*() {
      const tokenizer = yield* trainTokenizer(micro({ duration: 2, warmup: 1 }).tokenizer).pipe(
        Effect.provide(Layer.mergeAll(Runs.layerMemory(), Layer.provide(teacher, images)), { local: true })
      )
      const held = set("held", 200)
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const shared = encodeShards(tokenizer, held, folder, { batches: 1 })
      const [one, two] = yield* Effect.all([shared, shared], { concurrency: 2 })
      const whole = yield* encodeAll(tokenizer, held)
      assert.isAbove(new Set(whole).size, 1)
      assert.deepStrictEqual([one, two], [whole, whole])
      const error = yield* Effect.flip(encodeShards(tokenizer, set("other", 200), folder, { batches: 1 }))
      assert.match(String(error), /it holds other work \(images: /)
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(engine, images, NodeServices.layer))))
})
