/**
 * Element types of arrays. Element types of files are decoded to those of the host.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { ElementType } from "patchword/domain"
 *
 * const { decode, size } = ElementType.DTYPES["BF16"]!
 * const elements = Result.getOrThrow(decode(Uint8Array.of(0x80, 0x3f, 0x20, 0xc0)))
 * assert.deepStrictEqual([size, elements], [2, { dtype: "float32", data: Float32Array.of(1, -2.5) }])
 * ```
 */
import { Result } from "effect"
import * as Float16 from "../values/Float16.ts"

/** The element types of arrays on the host. */
export type DType = "float32" | "int32" | "bool"

/** The elements of an array. */
export interface Elements {
  readonly dtype: DType
  readonly data: Float32Array | Int32Array | Uint8Array
}

const arrays = {
  float32: (length: number) => new Float32Array(length),
  int32: (length: number) => new Int32Array(length),
  bool: (length: number) => new Uint8Array(length)
} satisfies { readonly [D in DType]: (length: number) => Elements["data"] }

/** Makes elements that are all zero. */
export const zeros = (dtype: DType, length: number): Elements["data"] => arrays[dtype](length)

/** An integer in a file that does not fit in 32 bits. */
export interface OutOfRange {
  readonly index: number
  readonly value: string
}

// A typed array must begin at a multiple of its element size, which foreign files do not guarantee.
const aligned = (bytes: Uint8Array, itemSize: number): Uint8Array =>
  bytes.byteOffset % itemSize === 0 ? bytes : new Uint8Array(bytes)

const float32 = (data: Float32Array): Result.Result<Elements> => Result.succeed({ dtype: "float32", data })
const int32 = (data: Int32Array): Result.Result<Elements> => Result.succeed({ dtype: "int32", data })

const halves = (bytes: Uint8Array): Uint16Array => {
  const source = aligned(bytes, 2)
  return new Uint16Array(source.buffer, source.byteOffset, source.length / 2)
}

/** The supported element types of files, with their sizes in bytes and their element types on the host. */
export const DTYPES: Readonly<
  Record<string, {
    readonly size: number
    /** Decodes little-endian bytes. */
    readonly decode: (bytes: Uint8Array) => Result.Result<Elements, OutOfRange>
  }>
> = {
  F64: {
    size: 8,
    decode: (bytes) => {
      const source = aligned(bytes, 8)
      return float32(Float32Array.from(new Float64Array(source.buffer, source.byteOffset, source.length / 8)))
    }
  },
  F32: {
    size: 4,
    decode: (bytes) => {
      const source = aligned(bytes, 4)
      return float32(new Float32Array(source.buffer, source.byteOffset, source.length / 4))
    }
  },
  F16: {
    size: 2,
    decode: (bytes) => float32(Float16.decode(halves(bytes)))
  },
  BF16: {
    size: 2,
    decode: (bytes) => float32(new Float32Array(Uint32Array.from(halves(bytes), (bits) => bits << 16).buffer))
  },
  I64: {
    size: 8,
    decode: (bytes) => {
      const source = aligned(bytes, 8)
      const words = new Int32Array(source.buffer, source.byteOffset, source.length / 4)
      const data = new Int32Array(words.length / 2)
      for (let i = 0; i < data.length; i++) {
        const low = words[2 * i]!
        const high = words[2 * i + 1]!
        if (high !== low >> 31) {
          const value = (BigInt(high) << 32n) | BigInt(low >>> 0)
          return Result.fail({ index: i, value: `${value}` })
        }
        data[i] = low
      }
      return int32(data)
    }
  },
  I32: {
    size: 4,
    decode: (bytes) => {
      const source = aligned(bytes, 4)
      return int32(new Int32Array(source.buffer, source.byteOffset, source.length / 4))
    }
  },
  U8: { size: 1, decode: (bytes) => int32(Int32Array.from(bytes)) },
  BOOL: {
    size: 1,
    decode: (bytes) =>
      Result.succeed({ dtype: "bool", data: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) })
  }
}

/** The element types that host arrays are written as. */
export const written: Readonly<Record<DType, string>> = { float32: "F32", int32: "I32", bool: "BOOL" }
