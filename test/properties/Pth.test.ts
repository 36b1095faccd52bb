import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import * as Pickle from "../../src/domain/weights/Pickle.ts"
import * as Pth from "../../src/domain/weights/Pth.ts"
import * as Torch from "../layers/weights/torch.ts"

const view = fc.array(fc.tuple(fc.nat(4), fc.nat(6)), { maxLength: 4 }).chain((axes) => {
  const reach = axes.reduce((sum, [dim, stride]) => sum + Math.max(dim - 1, 0) * stride, 1)
  return fc.record({ offset: fc.nat(5), spare: fc.nat(3) }).map(({ offset, spare }) => ({
    offset,
    shape: axes.map(([dim]) => dim),
    strides: axes.map(([, stride]) => stride),
    length: offset + reach + spare
  }))
})

const elements = ({ offset, shape, strides }: Pick<Pth.View, "offset" | "shape" | "strides">): ReadonlyArray<number> =>
  shape.reduce<ReadonlyArray<number>>(
    (places, dim, axis) => places.flatMap((at) => Array.from({ length: dim }, (_, i) => at + i * strides[axis]!)),
    [offset]
  )

const key = "w"
const views = (bytes: Uint8Array) => Pth.views(bytes)

describe("Pth", () => {
  it("honours every stride and offset", () => {
    fc.assert(fc.property(view, ({ length, ...place }) => {
      const data = Float32Array.from({ length }, (_, i) => i)
      const storage = { key: "0", type: "Float", data, length }
      const [found] = Result.getOrThrow(views(Torch.pickle(Torch.stateDict({ [key]: { storage, ...place } }))))
      const array = Result.getOrThrow(Pth.storage(found!.storage, new Uint8Array(data.buffer)))
      const tensor = Result.getOrThrow(Pth.tensor(found!, array))
      assert.deepStrictEqual([...tensor.data], [...elements(place)])
      assert.deepStrictEqual(tensor.shape, place.shape)
    }))
  })

  it("fails typed on every tensor that reaches out of its storage", () => {
    fc.assert(fc.property(view, ({ offset, shape, strides }) => {
      const place = { offset, shape, strides }
      const places = elements(place)
      fc.pre(places.length > 0)
      const data = new Float32Array(Math.max(...places))
      const storage = { key: "0", dtype: "F32", length: data.length }
      const result = Pth.tensor({ name: key, storage, ...place }, { dtype: "float32", data })
      assert.strictEqual(Result.getOrThrow(Result.flip(result)).reason._tag, "OutOfStorage")
    }))
  })

  it("never throws, whatever the bytes", () => {
    const whole = Torch.pickle({
      dict: [[
        "model",
        Torch.stateDict({
          a: { storage: { key: "0", type: "Half", data: new Uint8Array(2), length: 1 }, shape: [1] }
        })
      ], ["args", { object: "argparse.Namespace", state: { lr: 0.1 } }]]
    })
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.isTrue(Result.isResult(Pickle.decode(bytes)))
    }))
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const flipped = whole.slice()
        flipped[at]! ^= mask
        assert.isTrue(Result.isResult(views(flipped)))
      }),
      { numRuns: 500 }
    )
  })
})
