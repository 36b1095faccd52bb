import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as Presets from "../../../src/domain/config/presets/Presets.ts"
import * as Augment from "../../../src/layers/images/views/Augment.ts"
import * as ViewWorkers from "../../../src/layers/images/views/ViewWorkers.ts"

const { augment } = Presets.base.pretrain
const recipe: Augment.Recipe = { size: 48, secondSize: 32, augment }

const picture = (index: number) => {
  const [width, height] = [240 + 7 * index, 250 - 5 * index]
  return {
    width,
    height,
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * (31 + index) + (i % 211) * (i % 17)) % 256)
  }
}
const key = (index: number) => ({ seed: 0, purpose: "view", epoch: 0, index })
const places = Array.from({ length: 12 }, (_, index) => index)
const room = (count: number) =>
  Augment.allocate(count, 48, 32, (length) => new Float32Array(new SharedArrayBuffer(4 * length)))

const expected = (() => {
  const batch = Augment.allocate(places.length, 48, 32)
  for (const place of places) {
    Augment.put(batch, place, Augment.make(picture(place), recipe, key(place)), augment)
  }
  return batch
})()

const workers = () => process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length

const all = Effect.fnUntraced(function*(threads: number) {
  const put = yield* ViewWorkers.make(recipe, threads)
  const batch = room(places.length)
  yield* Effect.forEach(places, (place) => put(picture(place), key(place), batch, place), { concurrency: 5 })
  return batch
}, Effect.scoped)

describe("views in threads", () => {
  it.effect("are those that are made without any", () =>
    Effect.gen(function*() {
      for (const threads of [0, 1, 3]) assert.deepStrictEqual(yield* all(threads), expected)
    }))

  it.effect("are made here for a batch whose memory is not shared", () =>
    Effect.gen(function*() {
      const put = yield* ViewWorkers.make(recipe, 1)
      const { unit } = room(1)
      const { normalised } = Augment.allocate(1, 48, 32)
      yield* put(picture(0), key(0), { unit, normalised }, 0)
      assert.deepStrictEqual(normalised.data, expected.normalised.data.subarray(0, 3 * 48 * 48))
      assert.deepStrictEqual(unit.data, expected.unit.data.subarray(0, 3 * 32 * 32))
    }))

  it.effect("fail where they cannot be made, and lose no one who waits", () =>
    Effect.gen(function*() {
      const put = yield* ViewWorkers.make({ ...recipe, augment: { ...augment, interpolation: "none" as "bicubic" } }, 1)
      const batch = room(1)
      const failed = yield* Effect.exit(put(picture(0), key(0), batch, 0))
      assert.isTrue(Exit.hasDies(failed))
      const again = yield* Effect.exit(put(picture(0), key(0), batch, 0))
      assert.isTrue(Exit.hasDies(again))
    }))

  it.effect("end with their scope, also in the middle", () =>
    Effect.gen(function*() {
      const before = workers()
      const scope = yield* Scope.make()
      const put = yield* Scope.provide(ViewWorkers.make(recipe, 2), scope)
      const batch = room(places.length)
      const fiber = yield* Effect.forkChild(
        Effect.forEach(places, (place) => put(picture(place), key(place), batch, place), { concurrency: 5 })
      )
      yield* Effect.yieldNow
      assert.isAbove(workers(), before)
      fiber.interruptUnsafe()
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(workers(), before)
    }))
})
