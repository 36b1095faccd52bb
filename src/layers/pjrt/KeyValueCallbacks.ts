/**
 * The functions by which a plugin reaches the keys and values of all processes that compute together: `kv_get_callback`,
 * `kv_try_get_callback` and `kv_put_callback` of PJRT. The plugin may call them from any thread. koffi hands each call to the thread that
 * made the functions, one after the other, and the caller waits.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import koffi from "koffi"
import { type Code, numberOf } from "./PjrtCode.ts"
import * as Struct from "./Struct.ts"

/** The members of the structs that the functions take. */
const GET = ["key", "keyLength", "timeout", "fail", "argument", "value", "valueLength", "free"] as const
const TRY_GET = ["key", "keyLength", "fail", "argument", "value", "valueLength", "free"] as const
const PUT = ["key", "keyLength", "value", "valueLength", "fail", "argument"] as const

/** The addresses of the functions that get values. */
export interface Reading {
  readonly kvGet: bigint
  readonly kvTryGet: bigint
}

/** The address of the function that puts a value. */
export interface Writing {
  readonly kvPut: bigint
}

/** Looks for the value of a key. Returns undefined if it is not there yet. */
export type Find = (key: string) => Uint8Array | undefined

/** Puts the value of a key. */
export type Put = (key: string, value: Uint8Array) => void

/** An error that the plugin is told. */
interface Refusal {
  readonly code: Code
  readonly message: string
}

const callback = koffi.pointer(koffi.proto("void *", ["void *"]))
const errorType = koffi.proto("void *", ["int", "void *", "size_t"])

const own = koffi.load(null)
const allocate = own.func("void *malloc(size_t size)")

// A plugin frees a value with the function that comes with it, which gets nothing else.
const free = koffi.address(own.symbol("free"))

/** Copies bytes into memory that `free` frees. */
const copied = (bytes: Uint8Array): bigint => {
  const memory: bigint = allocate(Math.max(1, bytes.length))
  if (bytes.length > 0) new Uint8Array(koffi.view(memory, bytes.length)).set(bytes)
  return memory
}

/** Makes an error of the plugin by its own function. `pointer` leads to the function's address. */
const refused = (pointer: bigint, { code, message }: Refusal): bigint | null => {
  const text = Buffer.from(message)
  return koffi.call(koffi.decode(pointer, "void *"), errorType, numberOf(code), text, text.length)
}

type Members<F extends string> = { readonly [K in F]: bigint }
type Asked = "key" | "keyLength" | "fail"

/**
 * Makes a function of C. It writes what `act` returns into the struct. If `act` throws, the plugin gets an error: koffi would tell it that
 * all is well.
 */
const made = <F extends string>(
  fields: ReadonlyArray<F | Asked>,
  act: (key: string, given: Members<F>) => Result.Result<Partial<Members<F | Asked>>, Refusal>
): bigint =>
  koffi.register((struct: bigint) => {
    const given: Members<F | Asked> = Struct.copy(fields, struct)
    const key = Buffer.from(Struct.bytes(given.key, given.keyLength)).toString("latin1")
    const answer = Result.try({
      try: () => act(key, given),
      catch: (cause): Refusal => ({ code: "INTERNAL", message: String(cause) })
    })
    const told = Result.flatMap(answer, (found) => found)
    if (Result.isFailure(told)) return refused(given.fail, told.failure)
    Struct.fill(fields, struct, told.success)
    return null
  }, callback)

/** The time between two looks for a value, in milliseconds. */
const REST = 1

const rest = new Int32Array(new SharedArrayBuffer(4))

const now = (): number => Number(Effect.runSync(Clock.monotonicTimeNanos)) / 1e6

/** Waits for a value, with the thread. A negative time is endless. */
const awaited = (find: Find, key: string, millis: number): Uint8Array | undefined => {
  const begun = now()
  for (;;) {
    const value = find(key)
    if (value !== undefined || (millis >= 0 && now() - begun >= millis)) return value
    Atomics.wait(rest, 0, 0, REST)
  }
}

const given = (value: Uint8Array) => ({ value: copied(value), valueLength: BigInt(value.length), free })

/** Makes the functions that get values. */
export const reading = (find: Find): Reading => ({
  kvGet: made(GET, (key, { timeout }) => {
    const millis = Number(BigInt.asIntN(32, timeout))
    const value = awaited(find, key, millis)
    const message = `no process has put a value for the key ${key} within ${millis} ms`
    return value === undefined ? Result.fail({ code: "DEADLINE_EXCEEDED", message }) : Result.succeed(given(value))
  }),
  kvTryGet: made(TRY_GET, (key) => {
    const value = find(key)
    const message = `no process has put a value for the key ${key}`
    return value === undefined ? Result.fail({ code: "NOT_FOUND", message }) : Result.succeed(given(value))
  })
})

/** Makes the function that puts a value. */
export const writing = (put: Put): Writing => ({
  kvPut: made(PUT, (key, { value, valueLength }) => {
    put(key, new Uint8Array(Struct.bytes(value, valueLength)))
    return Result.succeed({})
  })
})
