/** Plugins of PJRT: shared libraries that compile programs with XLA and run them on one kind of device. */
import { Effect, Result } from "effect"
import koffi, { type KoffiFunc } from "koffi"
import { type Field, FUNCTIONS, type Name, OPTIONAL } from "./Functions.ts"
import { codeOf } from "./PjrtCode.ts"
import { PjrtError, PluginUnavailable } from "./PjrtError.ts"
import * as Struct from "./Struct.ts"

/** The members of a struct that a function is given, and those that it then has. */
export type Given<N extends Name> = { readonly [F in Field<N>]?: Struct.Word }
export type Told<N extends Name> = { readonly [F in Field<N>]: bigint }

/** A loaded plugin. It stays in the process, because these libraries cannot be unloaded. */
export interface Plugin {
  readonly file: string
  /** The version of the interface: `0.115`. */
  readonly version: string
  /** Calls a function and returns the members of its struct. */
  readonly ask: <N extends Name>(name: N, given: Given<N>) => Result.Result<Told<N>, PjrtError>
  /** The same, but throws the error. */
  readonly call: <N extends Name>(name: N, given: Given<N>) => Told<N>
  /** Does the same as `ask` on another thread, so that the present one stays free. */
  readonly wait: <N extends Name>(name: N, given: Given<N>) => Promise<Result.Result<Told<N>, PjrtError>>
  /** Calls one of the plugin's functions `void f(void *)`, by its address. */
  readonly release: (address: bigint, pointer: bigint) => void
}

/** The only major version, and the oldest minor version with the structs of `Functions`. */
const MAJOR = 0
const MINOR = 81

const HEAD = 40n
const VERSION = 32
const SETUP = "run \"patchword setup xla\", or name another plugin"

const functionType = koffi.proto("void *", ["void *"])
const releaseType = koffi.proto("void", ["void *"])

// koffi gives null for a null pointer.
const pointer = (found: bigint | null): bigint => found ?? 0n

/** Makes a plugin from the address of its table of functions. Throws `PluginUnavailable` if its version or functions do not serve. */
export const fromTable = (file: string, api: bigint): Plugin => {
  const unavailable = (problem: string) => new PluginUnavailable({ file, problem, remedy: SETUP })
  if (api === 0n) throw unavailable("it gives no table of functions")
  const head = Struct.bytes(api, HEAD)
  const [major, minor] = new Int32Array(head, VERSION)
  const version = `${major}.${minor}`
  if (major !== MAJOR || minor! < MINOR) {
    throw unavailable(`it has PJRT ${version}, but ${MAJOR}.${MINOR} or a later ${MAJOR} is needed`)
  }
  const table = Struct.words(api + HEAD, (new BigInt64Array(head)[0]! - HEAD) / 8n)
  const addressOf = (name: Name): bigint => table[FUNCTIONS[name].place] ?? 0n
  const missing = (Object.keys(FUNCTIONS) as ReadonlyArray<Name>).filter((name) =>
    !OPTIONAL.has(name) && addressOf(name) === 0n
  )
  if (missing.length > 0) throw unavailable(`it lacks ${missing.join(", ")}`)

  const structOf = <N extends Name>(name: N, given: Given<N>): BigInt64Array => {
    const fields: ReadonlyArray<Field<N>> = FUNCTIONS[name].fields
    return Struct.write(fields, given)
  }
  const raw = <N extends Name>(name: N, given: Given<N>): readonly [error: bigint | null, struct: BigInt64Array] => {
    const struct = structOf(name, given)
    return [koffi.call(addressOf(name), functionType, struct), struct]
  }
  const told = <N extends Name>(name: N, struct: BigInt64Array): Told<N> => {
    const fields: ReadonlyArray<Field<N>> = FUNCTIONS[name].fields
    return Struct.read(fields, struct)
  }
  const answered = <N extends Name>(
    name: N,
    [failure, struct]: readonly [failure: bigint | null, struct: BigInt64Array]
  ): Result.Result<Told<N>, PjrtError> => {
    const error = pointer(failure)
    if (error === 0n) return Result.succeed(told(name, struct))
    const { length, message } = told("PJRT_Error_Message", raw("PJRT_Error_Message", { error })[1])
    const detail = Struct.text(message, length).trim()
    const { code } = told("PJRT_Error_GetCode", raw("PJRT_Error_GetCode", { error })[1])
    raw("PJRT_Error_Destroy", { error })
    return Result.fail(new PjrtError({ call: name, code: codeOf(code), detail }))
  }
  const lacking = (name: Name): Result.Result<never, PjrtError> =>
    Result.fail(new PjrtError({ call: name, code: "UNIMPLEMENTED", detail: "the plugin lacks it" }))
  const ask = <N extends Name>(name: N, given: Given<N>): Result.Result<Told<N>, PjrtError> =>
    addressOf(name) === 0n ? lacking(name) : answered(name, raw(name, given))
  const wait = <N extends Name>(name: N, given: Given<N>): Promise<Result.Result<Told<N>, PjrtError>> =>
    new Promise((resolve) => {
      if (addressOf(name) === 0n) return resolve(lacking(name))
      const struct = structOf(name, given)
      const { async }: KoffiFunc<(struct: BigInt64Array) => bigint | null> = koffi.decode(addressOf(name), functionType)
      async(struct, (_, failure) => resolve(answered(name, [failure, struct])))
    })
  const call = <N extends Name>(name: N, given: Given<N>): Told<N> => Result.getOrThrow(ask(name, given))
  return {
    file,
    version,
    ask,
    wait,
    call,
    release: (address, given) => koffi.call(address, releaseType, given)
  }
}

/** `RTLD_NOW | RTLD_NODELETE` of Linux. */
const FOR_EVER = 0x1002

const loaded = (file: string): Plugin => {
  const plugin = fromTable(file, pointer(koffi.load(file).func("void *GetPjrtApi()")()))
  // koffi unloads it at the end of the thread, but its own threads and what it does at the end of the process need it.
  if (process.platform === "linux") koffi.load(null).func("void *dlopen(str file, int flags)")(file, FOR_EVER)
  plugin.call("PJRT_Plugin_Initialize", {})
  return plugin
}

/** Loads a plugin. Fails with `PluginUnavailable` if the file is none, or if its version or functions do not serve. */
export const load = (file: string): Effect.Effect<Plugin, PluginUnavailable> =>
  Effect.try({
    try: () => loaded(file),
    catch: (cause) =>
      cause instanceof PluginUnavailable
        ? cause
        : new PluginUnavailable({
          file,
          problem: cause instanceof Error ? cause.message : String(cause),
          remedy: SETUP
        })
  })
