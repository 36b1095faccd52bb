import { Effect } from "effect"
import koffi, { type KoffiFunc } from "koffi"
import type { KeyValueStore } from "../../../src/layers/pjrt/KeyValueStore.ts"

const GetArgs = koffi.struct("PJRT_KeyValueGetCallback_Args", {
  struct_size: "size_t",
  extension_start: "uintptr_t",
  key: "uintptr_t",
  key_size: "size_t",
  timeout_in_ms: "int",
  callback_error: "uintptr_t",
  user_arg: "uintptr_t",
  value: "uintptr_t",
  value_size: "size_t",
  value_deleter_callback: "uintptr_t"
})

const TryGetArgs = koffi.struct("PJRT_KeyValueTryGetCallback_Args", {
  struct_size: "size_t",
  extension_start: "uintptr_t",
  key: "uintptr_t",
  key_size: "size_t",
  callback_error: "uintptr_t",
  user_arg: "uintptr_t",
  value: "uintptr_t",
  value_size: "size_t",
  value_deleter_callback: "uintptr_t"
})

const PutArgs = koffi.struct("PJRT_KeyValuePutCallback_Args", {
  struct_size: "size_t",
  extension_start: "uintptr_t",
  key: "uintptr_t",
  key_size: "size_t",
  value: "uintptr_t",
  value_size: "size_t",
  callback_error: "uintptr_t",
  user_arg: "uintptr_t"
})

const callback = koffi.proto("uintptr_t", ["void *"])
const deleter = koffi.proto("void", ["void *"])
const CallbackError = koffi.proto("uintptr_t", ["int", "void *", "size_t"])

const errors: Array<string> = []
const fail = koffi.register((code: number, message: bigint, length: number) => {
  errors.push(`${code} ${Buffer.from(koffi.view(message, length)).toString()}`)
  return errors.length
}, koffi.pointer(CallbackError))
const failPlace = BigInt64Array.of(fail)

type Struct = Readonly<Record<string, number | bigint>>

const filled = (type: typeof GetArgs, members: Struct): Buffer => {
  const memory = Buffer.alloc(koffi.sizeof(type), 0xee)
  for (const [name, member] of Object.entries(members)) {
    const width = name === "timeout_in_ms" ? "int" : "uint64_t"
    koffi.encode(memory, koffi.offsetof(type, name), width, member)
  }
  return memory
}

type Asked = { readonly bytes: Buffer; readonly struct: Buffer }

const asked = (type: typeof GetArgs, key: string, more: Struct): Asked => {
  const bytes = Buffer.from(key)
  return {
    bytes,
    struct: filled(type, {
      key: koffi.address(bytes),
      key_size: bytes.length,
      callback_error: koffi.address(failPlace),
      ...more
    })
  }
}

const answered = (type: typeof GetArgs, { struct }: Asked, error: number | bigint): Uint8Array | string => {
  if (Number(error) > 0) return errors[Number(error) - 1]!
  const { value, value_deleter_callback, value_size } = koffi.decode(struct, type)
  const copy = value_size === 0 ? new Uint8Array() : new Uint8Array(koffi.view(BigInt(value), value_size).slice(0))
  koffi.call(BigInt(value_deleter_callback), deleter, BigInt(value))
  return copy
}

const elsewhere = (address: bigint, { struct }: Asked): Effect.Effect<number | bigint> =>
  Effect.callback((resume) => {
    const { async }: KoffiFunc<(struct: Buffer) => number> = koffi.decode(address, callback)
    async(struct, (_, error) => resume(Effect.succeed(error)))
  })

export const callsOf = ({ kvGet, kvPut, kvTryGet }: KeyValueStore) => ({
  get: (key: string, millis: number) => {
    const given = asked(GetArgs, key, { timeout_in_ms: millis })
    return Effect.map(elsewhere(kvGet, given), (error) => answered(GetArgs, given, error))
  },
  getHere: (key: string, millis: number) => {
    const given = asked(GetArgs, key, { timeout_in_ms: millis })
    return answered(GetArgs, given, koffi.call(kvGet, callback, given.struct))
  },
  tryGet: (key: string) => {
    const given = asked(TryGetArgs, key, {})
    return Effect.map(elsewhere(kvTryGet, given), (error) => answered(TryGetArgs, given, error))
  },
  putHere: (key: string, value: Uint8Array) => {
    const given = asked(PutArgs, key, { value: koffi.address(value), value_size: value.length })
    return Number(koffi.call(kvPut, callback, given.struct))
  },
  put: (key: string, value: Uint8Array) => {
    const given = asked(PutArgs, key, { value: koffi.address(value), value_size: value.length })
    return Effect.map(elsewhere(kvPut, given), (error) => ({ given, value, code: Number(error) }))
  }
})
