import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as LabelMaps from "../../src/cli/terminal/LabelMaps.ts"

const map = (image: string, others: ReadonlyArray<string> = []) => LabelMaps.namesOf([...others, image]).at(-1)!

const described = (...names: ReadonlyArray<string>) => {
  const maps = LabelMaps.namesOf(names)
  return { classes: ["ground"], images: names.map((image, i) => ({ image, map: maps[i]! })) }
}

const predicted = (index: number) => ({ index, labels: { width: 1, height: 1, data: Uint8Array.of(0) }, shares: [] })

describe("label maps", () => {
  it("have the names of their images, and a digest of it where these are not enough", () => {
    assert.strictEqual(map("a/b.c.jpg"), "a/b.c.png")
    assert.match(map("same.jpg", ["same.png"]), /^same-[0-9a-f]{8}\.png$/)
    for (const others of [["Same.jpg"], ["other.jpg", "SAME.webp", "x.png", "same.png"]]) {
      assert.strictEqual(map("same.jpg", others), map("same.jpg", ["same.png"]))
    }
    assert.match(map("../a<b>\n.jpg"), /^a_b__-[0-9a-f]{8}\.png$/)
    assert.match(map("a.jpg", ["a.png/b.jpg"]), /^a-[0-9a-f]{8}\.png$/)
    assert.strictEqual(map(`${"é".repeat(125)}.jpg`), `${"é".repeat(125)}.png`)
    assert.match(map("é".repeat(200)), /^é{121}-[0-9a-f]{8}\.png$/)
    const many = ["a.jpg", "A.png", "a.png", "a.png", "b", "b/c", "", "..", map("a.jpg", ["a.png"])]
    const names = LabelMaps.namesOf(many)
    assert.lengthOf(new Set(names.map((name) => name.toLowerCase())), many.length)
    const swapped = LabelMaps.namesOf(many.toReversed().toSpliced(5, 1)).toReversed()
    assert.deepStrictEqual(swapped.slice(0, 3), names.slice(0, 3))
  })

  it.effect("are written whole or not at all, and replace nothing but label maps", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const parent = yield* fs.makeTempDirectoryScoped()
      const folder = `${parent}/labels`
      const long = `${"é".repeat(125)}.png`
      const images = described(long, "in/a<b>.jpg")
      const failed = yield* Effect.flip(
        LabelMaps.write(folder, images, (put) => Effect.andThen(put(predicted(0)), Effect.fail("stopped" as const)))
      )
      assert.strictEqual(failed, "stopped")
      assert.deepStrictEqual(yield* fs.readDirectory(parent), [])

      const all = LabelMaps.write(
        folder,
        images,
        (put) => Effect.forEach([0, 1], (index) => put(predicted(index)), { discard: true })
      )
      yield* all
      const listed = JSON.parse(yield* fs.readFileString(`${folder}/classes.json`)) as typeof images
      assert.deepStrictEqual(listed.images, images.images)
      for (const { map } of listed.images) assert.isTrue(yield* fs.exists(`${folder}/${map}`))
      assert.include(
        (yield* Effect.flip(LabelMaps.checkFree(folder, false))).message,
        "there are files in this folder already"
      )
      yield* LabelMaps.checkFree(folder, true)
      yield* all

      yield* fs.writeFileString(`${folder}/in/mine.txt`, "mine")
      assert.include((yield* Effect.flip(LabelMaps.checkFree(folder, true))).message, "got one with in/mine.txt")
      const file = yield* Effect.flip(LabelMaps.checkFree(`${folder}/in/mine.txt`, true))
      assert.include(file.message, "it is no folder")
    }).pipe(Effect.provide(NodeServices.layer)))
})
