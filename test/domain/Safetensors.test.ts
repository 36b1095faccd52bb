import { assert, describe, it } from "@effect/vitest"
import { Result, Runtime } from "effect"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"

const file = (header: unknown, data: Uint8Array = new Uint8Array(0)): Uint8Array => {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + text.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
  bytes.set(text, 8)
  bytes.set(data, 8 + text.length)
  return bytes
}

const official = [
  "uAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJsb25nIjp7ImR0eXBlIjoiSTY0Iiwic2hhcGUiOlsyXSwi",
  "ZGF0YV9vZmZzZXRzIjpbMCwxNl19LCJkb3VibGUiOnsiZHR5cGUiOiJGNjQiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOlsx",
  "NiwyNF19LCJmbG9hdCI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMSwyXSwiZGF0YV9vZmZzZXRzIjpbMjQsMzJdfSwiaW50Ijp7",
  "ImR0eXBlIjoiSTMyIiwic2hhcGUiOltdLCJkYXRhX29mZnNldHMiOlszMiwzNl19LCJoYWxmIjp7ImR0eXBlIjoiRjE2Iiwic2hh",
  "cGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbMzYsNDJdfSwiYnl0ZSI6eyJkdHlwZSI6IlU4Iiwic2hhcGUiOlsyXSwiZGF0YV9vZmZz",
  "ZXRzIjpbNDIsNDRdfSwibWFzayI6eyJkdHlwZSI6IkJPT0wiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOls0NCw0Nl19ffv/",
  "////////BwAAAAAAAACamZmZmZm5PwAAwD8AAADAAwAAAAA8AMD/ewD/AQA="
].join("")

const bytesOf = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

const one = (dtype: string, shape: ReadonlyArray<number>, data: ArrayBufferView) =>
  file({ x: { dtype, shape, data_offsets: [0, data.byteLength] } }, bytesOf(data))

const read = (bytes: Uint8Array) => Result.getOrThrow(Safetensors.decode(bytes))

const failure = (bytes: Uint8Array) => Result.getOrThrow(Result.flip(Safetensors.decode(bytes)))

describe("Safetensors", () => {
  it("writes the bytes that the format prescribes", () => {
    const bytes = Safetensors.encode({ b: { shape: [1], dtype: "int32", data: Int32Array.of(-2) } }, { k: "v" })
    const header = `{"__metadata__":{"k":"v"},"b":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}`
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
    assert.deepStrictEqual(
      Buffer.from(bytes),
      Buffer.concat([
        Buffer.from([padded.length, 0, 0, 0, 0, 0, 0, 0]),
        Buffer.from(padded),
        Buffer.from([0xfe, 0xff, 0xff, 0xff])
      ])
    )
  })

  it("does not depend on the order of the keys and aligns every array", () => {
    const float = { shape: [2], dtype: "float32", data: Float32Array.of(1, 2) } as const
    const mask = { shape: [3], dtype: "bool", data: Uint8Array.of(1, 0, 1) } as const
    const bytes = Safetensors.encode({ "a.mask": mask, "10": float, "9": float }, { b: "1", a: "2" })
    assert.deepStrictEqual(
      bytes,
      Safetensors.encode({ "9": float, "10": float, "a.mask": mask }, { a: "2", b: "1" })
    )
    const header = Result.getOrThrow(Safetensors.readHeader(bytes))
    assert.strictEqual(header.dataOffset % 8, 0)
    assert.deepStrictEqual(header.entries.map(({ begin, name }) => [name, begin]), [["10", 0], ["9", 8], [
      "a.mask",
      16
    ]])
  })

  it("reads what the official library wrote", () => {
    assert.deepStrictEqual(read(Buffer.from(official, "base64")), {
      tensors: {
        long: { shape: [2], dtype: "int32", data: Int32Array.of(-5, 7) },
        double: { shape: [1], dtype: "float32", data: Float32Array.of(0.1) },
        float: { shape: [1, 2], dtype: "float32", data: Float32Array.of(1.5, -2) },
        int: { shape: [], dtype: "int32", data: Int32Array.of(3) },
        half: { shape: [3], dtype: "float32", data: Float32Array.of(1, -2, 65504) },
        byte: { shape: [2], dtype: "int32", data: Int32Array.of(0, 255) },
        mask: { shape: [2], dtype: "bool", data: Uint8Array.of(1, 0) }
      },
      metadata: { format: "pt" }
    })
  })

  it("reads the header alone", () => {
    const bytes = Safetensors.encode({ x: { shape: [2, 2], dtype: "float32", data: new Float32Array(4) } }, { a: "b" })
    const length = Result.getOrThrow(Safetensors.headerLength(bytes.subarray(0, 8)))
    const header = Result.getOrThrow(Safetensors.readHeader(bytes.subarray(0, length)))
    assert.deepStrictEqual(header, {
      entries: [{ name: "x", dtype: "F32", shape: [2, 2], begin: 0, end: 16 }],
      metadata: { a: "b" },
      dataOffset: length,
      byteLength: bytes.length
    })
  })

  it("reads scalars, empty arrays and empty files", () => {
    const bytes = Safetensors.encode({
      scalar: { shape: [], dtype: "float32", data: Float32Array.of(7) },
      empty: { shape: [0, 3], dtype: "float32", data: new Float32Array(0) }
    })
    const { tensors } = read(bytes)
    assert.deepStrictEqual(tensors["scalar"], { shape: [], dtype: "float32", data: Float32Array.of(7) })
    assert.deepStrictEqual(tensors["empty"], { shape: [0, 3], dtype: "float32", data: new Float32Array(0) })
    assert.deepStrictEqual(read(Safetensors.encode({})), { tensors: {}, metadata: {} })
  })

  it("reads arrays that are not aligned, and copies them", () => {
    const header = `{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
    for (let pad = 0; pad < 4; pad++) {
      const bytes = file(header + " ".repeat(pad), bytesOf(Float32Array.of(1.5)))
      const { tensors } = read(bytes)
      bytes.fill(0)
      assert.deepStrictEqual(tensors["x"]?.data, Float32Array.of(1.5))
    }
  })

  it.each(
    [
      ["F16", [5], Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0xfc00), [1, -2, 65504, 2 ** -24, -Infinity]],
      ["BF16", [3], Uint16Array.of(0x3f80, 0xc040, 0x7f80), [1, -3, Infinity]],
      ["F64", [2], Float64Array.of(0.1, -2), [Math.fround(0.1), -2]]
    ] as const
  )("widens or narrows %s to float32", (dtype, shape, data, expected) => {
    assert.deepStrictEqual(read(one(dtype, shape, data)).tensors["x"], {
      shape,
      dtype: "float32",
      data: Float32Array.from(expected)
    })
  })

  it("reads the NaN of halves", () => {
    const { data } = read(one("F16", [1], Uint16Array.of(0x7e00))).tensors["x"]!
    assert.isNaN(data[0])
  })

  it("reads I64 and U8 as int32, BOOL as bool", () => {
    const limits = BigInt64Array.of(-5n, 2n ** 31n - 1n, -(2n ** 31n))
    assert.deepStrictEqual(
      read(one("I64", [3], limits)).tensors["x"]?.data,
      Int32Array.of(-5, 2147483647, -2147483648)
    )
    assert.deepStrictEqual(read(one("U8", [2], Uint8Array.of(0, 255))).tensors["x"]?.data, Int32Array.of(0, 255))
    assert.deepStrictEqual(read(one("BOOL", [2], Uint8Array.of(0, 1))).tensors["x"], {
      shape: [2],
      dtype: "bool",
      data: Uint8Array.of(0, 1)
    })
  })

  const good = { dtype: "F32", shape: [1], data_offsets: [0, 4] }
  const four = new Uint8Array(4)
  const whole = file({ a: good, b: { ...good, data_offsets: [4, 8] } }, new Uint8Array(8))

  it.each(
    [
      ["an empty file", new Uint8Array(0), "Truncated", undefined],
      ["a cut header", file({ a: good }, four).subarray(0, 20), "Truncated", undefined],
      ["a cut tensor", whole.subarray(0, whole.length - 1), "Truncated", "b"],
      ["trailing bytes", file({ a: good }, new Uint8Array(5)), "Trailing", undefined],
      ["a header beyond the limit", new Uint8Array(8).fill(0xff), "HeaderTooLong", undefined],
      ["a header that is no JSON", file("{"), "HeaderInvalid", undefined],
      ["a header that is no object", file("[]"), "HeaderInvalid", undefined],
      ["a header that is no UTF-8", Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff), "HeaderInvalid", undefined],
      ["metadata that is no text", file({ __metadata__: { a: 1 } }), "HeaderInvalid", undefined],
      ["an entry without a shape", file({ a: { dtype: "F32", data_offsets: [0, 4] } }, four), "HeaderInvalid", "a"],
      ["a negative axis", file({ a: { ...good, shape: [-1] } }, four), "HeaderInvalid", "a"],
      ["an unknown type", file({ a: { ...good, dtype: "F8_E4M3" } }, four), "UnknownDType", "a"],
      ["a type of the prototype", file({ a: { ...good, dtype: "toString" } }, four), "UnknownDType", "a"],
      ["another size", file({ a: { ...good, shape: [2] } }, four), "SizeMismatch", "a"],
      ["a reversed range", file({ a: { ...good, shape: [0], data_offsets: [4, 0] } }, four), "SizeMismatch", "a"],
      ["a shape that overflows", file({ a: { ...good, shape: [2 ** 40, 2 ** 40] } }, four), "SizeMismatch", "a"],
      ["an overlap", file({ a: good, b: { ...good, data_offsets: [2, 6] } }, new Uint8Array(6)), "Overlap", "b"],
      ["a gap", file({ a: good, b: { ...good, data_offsets: [5, 9] } }, new Uint8Array(9)), "Gap", "b"],
      ["a gap at the start", file({ a: { ...good, data_offsets: [4, 8] } }, new Uint8Array(8)), "Gap", "a"],
      [
        "a name twice",
        file(`{"a":${JSON.stringify(good)}, "\\u0061" :${JSON.stringify({ ...good, data_offsets: [0, 4] })}}`, four),
        "Duplicate",
        undefined
      ],
      [
        "a field twice",
        file(`{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, four),
        "Duplicate",
        undefined
      ],
      ["an integer beyond 32 bits", one("I64", [2], BigInt64Array.of(1n, 2n ** 31n)), "OutOfRange", "x"],
      ["an integer below 32 bits", one("I64", [1], BigInt64Array.of(-(2n ** 31n) - 1n)), "OutOfRange", "x"]
    ] as const
  )("refuses %s", (_, bytes, tag, tensor) => {
    const error = failure(bytes)
    assert.strictEqual(error.reason._tag, tag)
    assert.strictEqual(error.tensor, tensor)
    assert.strictEqual(error[Runtime.errorExitCode], 65)
    if (tensor !== undefined) assert.include(error.message, `"${tensor}"`)
  })

  it("accepts colons and braces in names and metadata", () => {
    const name = `a":{"b\\`
    const bytes = Safetensors.encode({ [name]: { shape: [1], dtype: "bool", data: Uint8Array.of(1) } }, { "{": `"x":` })
    assert.deepStrictEqual(Object.keys(read(bytes).tensors), [name])
    assert.deepStrictEqual(read(bytes).metadata, { "{": `"x":` })
  })

  it("says which value does not fit", () => {
    assert.include(
      failure(one("I64", [2], BigInt64Array.of(1n, -(2n ** 40n)))).message,
      `tensor "x": element 1 is -1099511627776, which does not fit in int32`
    )
  })

  it("refuses to write what it could not read", () => {
    assert.throws(() => Safetensors.encode({ x: { shape: [2], dtype: "bool", data: new Uint8Array(1) } }), /"x"/)
    assert.throws(() => Safetensors.encode({ __metadata__: { shape: [], dtype: "bool", data: new Uint8Array(1) } }))
  })
})
