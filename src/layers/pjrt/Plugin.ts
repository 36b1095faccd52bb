/** Plugins of PJRT: shared libraries that compile programs with XLA and run them on one kind of device. */
import { Effect, Result } from "effect"
import koffi from "koffi"
import { type Field, FUNCTIONS, type Name, OPTIONAL } from "./Functions.ts"
import { codeOf, PjrtError, PluginUnavailable } from "./PjrtError.ts"
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

  const raw = <N extends Name>(name: N, given: Given<N>): readonly [error: bigint, told: Told<N>] => {
    const fields: ReadonlyArray<Field<N>> = FUNCTIONS[name].fields
    const struct = Struct.write(fields, given)
    const error: bigint | null = koffi.call(addressOf(name), functionType, struct)
    return [pointer(error), Struct.read(fields, struct)]
  }
  const ask = <N extends Name>(name: N, given: Given<N>): Result.Result<Told<N>, PjrtError> => {
    if (addressOf(name) === 0n) {
      return Result.fail(new PjrtError({ call: name, code: "UNIMPLEMENTED", detail: "the plugin lacks it" }))
    }
    const [error, told] = raw(name, given)
    if (error === 0n) return Result.succeed(told)
    const [, { length, message }] = raw("PJRT_Error_Message", { error })
    const detail = Struct.text(message, length).trim()
    const [, { code }] = raw("PJRT_Error_GetCode", { error })
    raw("PJRT_Error_Destroy", { error })
    return Result.fail(new PjrtError({ call: name, code: codeOf(code), detail }))
  }
  const call = <N extends Name>(name: N, given: Given<N>): Told<N> => Result.getOrThrow(ask(name, given))
  return {
    file,
    version,
    ask,
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
