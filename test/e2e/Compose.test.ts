import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import sharp from "sharp"
import { learn } from "../../examples/compose.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { engine, micro, sets, teacher } from "../pipelines/kit.ts"

const root = new URL("../../", import.meta.url)

const folder = Effect.acquireRelease(
  Effect.promise(async () => {
    const top = mkdtempSync(join(tmpdir(), "patchword-compose-"))
    for (const { classes, image, labels, length, name } of sets) {
      for (let index = 0; index < length; index++) {
        const { data, height, width } = await Effect.runPromise(image(index))
        const kind = join(top, name, classes[labels[index]!]!)
        mkdirSync(kind, { recursive: true })
        await sharp(data, { raw: { width, height, channels: 3 } }).png().toFile(join(kind, `${index}.png`))
      }
    }
    return top
  }),
  (top) => Effect.sync(() => rmSync(top, { recursive: true }))
)

describe("the program of the README", () => {
  it("is the example", () => {
    const program = readFileSync(new URL("examples/compose.ts", root), "utf8")
    assert.include(readFileSync(new URL("README.md", root), "utf8"), `\`\`\`ts\n${program}\`\`\``)
  })

  it.effect("learns from a folder of images and leaves no tensors", () =>
    Effect.gen(function*() {
      const top = yield* folder
      yield* Effect.gen(function*() {
        const before = yield* (yield* Engine).memory
        const { chosenOn, figures: [known] } = yield* learn(micro({ duration: 20, warmup: 2 }), "test")
        assert.isAbove(known!.top1, 1 / 3)
        assert.match(chosenOn!, /^a held-out part of train \(6 of 24 images\)$/)
        assert.deepStrictEqual(yield* (yield* Engine).memory, before)
      }).pipe(Effect.provide(
        Layer.mergeAll(engine, teacher, Runs.layerMemory()).pipe(Layer.provideMerge(Images.layerFolder(top)))
      ))
    }))
})
