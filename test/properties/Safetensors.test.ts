import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"

const size = (shape: ReadonlyArray<number>) => shape.reduce((a, b) => a * b, 1)

const tensor: fc.Arbitrary<Safetensors.Tensor> = fc.array(fc.nat(4), { maxLength: 3 }).chain((shape) => {
  const length = { minLength: size(shape), maxLength: size(shape) }
  return fc.oneof(
    fc.float32Array(length).map((data) => ({ shape, dtype: "float32" as const, data })),
    fc.int32Array(length).map((data) => ({ shape, dtype: "int32" as const, data })),
    fc.uint8Array({ ...length, max: 1 }).map((data) => ({ shape, dtype: "bool" as const, data }))
  )
})

const name = fc.string({ unit: "binary" }).filter((text) => text !== "__metadata__")

const tensors = fc.array(fc.tuple(name, tensor), { maxLength: 6 }).map(
  (entries): Record<string, Safetensors.Tensor> => Object.fromEntries(entries)
)

const metadata = fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string()), { maxLength: 3 }).map(
  (entries): Record<string, string> => Object.fromEntries(entries)
)

const sorted = <A>(record: Readonly<Record<string, A>>) =>
  Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

const bits = (given: Readonly<Record<string, Safetensors.Tensor>>) =>
  sorted(given).map(([key, { data, dtype, shape }]) => [
    key,
    dtype,
    shape,
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")
  ])

describe("Safetensors", () => {
  it("returns every bit of what was written", () => {
    fc.assert(fc.property(tensors, metadata, (given, about) => {
      const decoded = Result.getOrThrow(Safetensors.decode(Safetensors.encode(given, about)))
      assert.deepStrictEqual(bits(decoded.tensors), bits(given))
      assert.deepStrictEqual(sorted(decoded.metadata), sorted(about))
    }))
  })

  it("writes the same bytes in whatever order the keys come", () => {
    fc.assert(fc.property(tensors, metadata, (given, about) => {
      const reversed = Object.fromEntries(Object.entries(given).toReversed())
      assert.deepStrictEqual(
        Safetensors.encode(reversed, Object.fromEntries(Object.entries(about).toReversed())),
        Safetensors.encode(given, about)
      )
    }))
  })

  it("fails typed on every file that is cut off", () => {
    fc.assert(fc.property(tensors, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (given, part) => {
      const bytes = Safetensors.encode(given)
      const cut = Safetensors.decode(bytes.subarray(0, Math.floor(part * bytes.length)))
      assert.instanceOf(Result.getOrThrow(Result.flip(cut)), Safetensors.SafetensorsError)
    }))
  })

  it("never throws, whatever the bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.string(), (data, header) => {
      const text = new TextEncoder().encode(header)
      const bytes = new Uint8Array(8 + text.length + data.length)
      bytes[0] = text.length
      bytes.set(text, 8)
      bytes.set(data, 8 + text.length)
      assert.isTrue(Result.isResult(Safetensors.decode(bytes)))
      assert.isTrue(Result.isResult(Safetensors.decode(data)))
    }))
  })

  it("never throws on a file with a flipped byte", () => {
    fc.assert(fc.property(tensors, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, at, mask) => {
      const bytes = Safetensors.encode(given)
      bytes[at % bytes.length]! ^= mask
      assert.isTrue(Result.isResult(Safetensors.decode(bytes)))
    }))
  })
})
