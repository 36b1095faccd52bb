import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import sharp from "sharp"
import * as Decode from "../../../src/layers/images/reading/Decode.ts"

const red = sharp({ create: { width: 64, height: 64, channels: 3, background: "red" } })
const bounds = { colour: "managed", pixelLimit: 1e6, minimumSide: 1 } as const

const kinds = Effect.promise(async () => {
  const [png, webp] = await Promise.all([red.clone().png().toBuffer(), red.clone().webp().toBuffer()])
  return [
    [png.subarray(0, -40), "its data are damaged, end too early, or have an unknown format"],
    [webp.subarray(0, 50), "its header is damaged"],
    [Buffer.from("no image"), "its format is unknown"]
  ] as const
})

describe("broken images", () => {
  it.effect("say of themselves what they say alone, however many are decoded at once", () =>
    Effect.gen(function*() {
      const each = yield* kinds
      const all = Array<typeof each>(40).fill(each).flat()
      const found = yield* Effect.forEach(all, ([image]) => Effect.flip(Decode.decode(image, bounds)), {
        concurrency: "unbounded"
      })
      found.forEach((error, i) => {
        assert(error._tag === "ImageBroken")
        assert.strictEqual(error.problem, all[i]![1])
      })
    }))
})
