/**
 * The structs of PJRT's C interface. All their members take 8 bytes, so that a struct is an array of words. The first is its
 * size in bytes and the second a list of extensions, which stays empty.
 */
import koffi from "koffi"

/** A member: a number, a pointer, or an array that the struct points to. */
export type Word = bigint | number | NodeJS.TypedArray

/** Words before the members. */
const HEAD = 2
const WIDTH = 8

// A struct is all that JavaScript sees of the arrays that it points to.
const pointees = new WeakMap<BigInt64Array, object>()

const word = (member: Word): bigint =>
  BigInt.asIntN(64, typeof member === "object" ? koffi.address(member) : BigInt(member))

/**
 * Writes a struct with these members. Those that are not given are 0. The arrays that it points to stay in memory as long as the
 * struct.
 */
export const write = <F extends string>(
  fields: ReadonlyArray<F>,
  given: { readonly [K in F]?: Word }
): BigInt64Array => {
  const words = new BigInt64Array(HEAD + fields.length)
  words[0] = BigInt(words.byteLength)
  for (const [place, field] of fields.entries()) words[HEAD + place] = word(given[field] ?? 0)
  pointees.set(words, given)
  return words
}

/** Returns the members of a struct. Pointers are unsigned. */
export const read = <F extends string>(
  fields: ReadonlyArray<F>,
  words: BigInt64Array
): { readonly [K in F]: bigint } =>
  Object.fromEntries(fields.map((field, place) => [field, BigInt.asUintN(64, words[HEAD + place]!)])) as {
    readonly [K in F]: bigint
  }

/** Returns the members of a struct of the plugin. */
export const copy = <F extends string>(fields: ReadonlyArray<F>, pointer: bigint): { readonly [K in F]: bigint } =>
  read(fields, new BigInt64Array(bytes(pointer, BigInt(WIDTH * (HEAD + fields.length)))))

/** Writes some members of a struct of the plugin. */
export const fill = <F extends string>(
  fields: ReadonlyArray<F>,
  pointer: bigint,
  given: { readonly [K in F]?: bigint }
): void => {
  for (const [place, field] of fields.entries()) {
    const member = given[field]
    if (member !== undefined) koffi.encode(pointer, WIDTH * (HEAD + place), "uint64_t", member)
  }
}

/** Joins structs, one after another. */
export const list = (structs: ReadonlyArray<BigInt64Array>): BigInt64Array => {
  const joined = BigInt64Array.from(structs.flatMap((struct) => Array.from(struct)))
  pointees.set(joined, structs)
  return joined
}

/** Returns an array of pointers, to things of the plugin or to arrays. */
export const pointers = (members: ReadonlyArray<Word>): BigInt64Array => {
  const array = BigInt64Array.from(members, word)
  pointees.set(array, members)
  return array
}

/** Copies bytes of the plugin. */
export const bytes = (pointer: bigint, length: bigint): ArrayBuffer =>
  length === 0n ? new ArrayBuffer(0) : koffi.view(pointer, Number(length)).slice(0)

/** Copies words of the plugin. Pointers are unsigned. */
export const words = (pointer: bigint, count: bigint): ReadonlyArray<bigint> =>
  Array.from(new BigInt64Array(bytes(pointer, count * BigInt(WIDTH))), (value) => BigInt.asUintN(64, value))

/** Copies a text of the plugin. */
export const text = (pointer: bigint, length: bigint): string => Buffer.from(bytes(pointer, length)).toString()
