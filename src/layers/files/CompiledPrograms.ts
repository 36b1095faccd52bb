/**
 * Compiled programs on the disk, so that the same program is not compiled again.
 *
 * Each lies in a file of its own, which is named after the digest of the program's origin. The file begins with a line of JSON: the
 * origin, and a seal on the origin and on the bytes that follow. The key of the seal lies in the user's folder of caches. So a program
 * that is damaged, of another origin or of another user is known before a library loads it. These programs are machine code.
 */
import { Context, Effect, Option, Result, Schema } from "effect"
import { createHmac, randomBytes } from "node:crypto"
import { dirname, join } from "node:path"
import * as Json from "../../domain/values/Json.ts"
import * as Caches from "./Caches.ts"
import * as Files from "./Files.ts"

/** All that the bytes of a compiled program depend on. */
export type Origin = Readonly<Record<string, Json.Json>>

/** The folders that keep the programs which are compiled here. A run names its own, so that it goes on with the same programs. */
export const Folders = Context.Reference<ReadonlyArray<string>>("patchword/layers/CompiledPrograms/Folders", {
  defaultValue: () => []
})

const Header = Schema.Struct({ format: Schema.Literal(1), origin: Schema.Json, seal: Schema.String })

const fileOf = (folder: string, origin: Origin): string =>
  join(folder, `${Files.sha256(Json.canonical(origin)).slice(0, 32)}.program`)

const sealOf = (key: string, origin: Origin, program: Uint8Array): string =>
  createHmac("sha256", key).update(`${Json.canonical(origin)}\n`).update(program).digest("hex")

const keyFile = Caches.folder("programs.key")

/** Returns the user's key, and makes one if there is none. */
const ownKey = Effect.gen(function*() {
  const files = yield* Files.make
  const file = yield* keyFile
  yield* files.makeFolder(dirname(file))
  if (yield* files.create(file, randomBytes(32).toString("hex"))) {
    yield* Files.onFailure(file)(files.fs.chmod(file, 0o600))
  }
  return yield* files.readText(file)
})

/** Returns the program, or the reason why the file cannot be used. */
const decoded = (content: Uint8Array, origin: Origin, key: string): Result.Result<Uint8Array, string> => {
  const end = Math.max(0, content.indexOf(0x0a))
  const line = Json.parse(new TextDecoder().decode(content.subarray(0, end)))
  const header = Result.flatMap(line, Schema.decodeUnknownResult(Header))
  if (Result.isFailure(header)) return Result.fail("it does not begin as such files do")
  if (Json.canonical(header.success.origin) !== Json.canonical(origin)) {
    return Result.fail("it is of another program, library or device")
  }
  const program = content.subarray(end + 1)
  return sealOf(key, origin, program) === header.success.seal
    ? Result.succeed(program)
    : Result.fail("it is damaged, or another user made it")
}

/** A program, if a folder has it, and the folders before that one. */
export interface Found {
  readonly program: Uint8Array | undefined
  readonly lacking: ReadonlyArray<string>
}

/** Looks for a program in folders, one after the other. Logs a warning for a file that cannot be used. */
export const find = Effect.fnUntraced(function*(folders: ReadonlyArray<string>, origin: Origin) {
  const files = yield* Files.make
  const key = Effect.map(Files.ifThere(files.readText(yield* keyFile)), Option.getOrElse(() => ""))
  const read = Effect.fnUntraced(function*(file: string) {
    const content = yield* Files.ifThere(Files.onFailure(file)(files.fs.readFile(file)))
    return Option.isNone(content) ? Result.succeed(undefined) : decoded(content.value, origin, yield* key)
  })
  const lacking: Array<string> = []
  for (const folder of folders) {
    const file = fileOf(folder, origin)
    const found = yield* Effect.catch(read(file), ({ finding }) => Effect.succeed(Result.fail(finding)))
    if (Result.isFailure(found)) {
      yield* Effect.logWarning(
        `the compiled program ${file} cannot be used: ${found.failure}. The program is compiled again`
      )
    } else if (found.success !== undefined) return { program: found.success, lacking } satisfies Found
    lacking.push(folder)
  }
  return { program: undefined, lacking } satisfies Found
})

/** Puts a program into folders. Logs a warning where that fails, because everything works without it. */
export const keep = Effect.fnUntraced(function*(folders: ReadonlyArray<string>, origin: Origin, program: Uint8Array) {
  const files = yield* Files.make
  const put = Effect.fnUntraced(function*(folder: string) {
    const header = { format: 1, origin, seal: sealOf(yield* ownKey, origin, program) }
    yield* files.makeFolder(folder)
    yield* files.sweep(folder)
    yield* files.write(fileOf(folder, origin), [new TextEncoder().encode(`${JSON.stringify(header)}\n`), program])
  })
  yield* Effect.forEach(
    folders,
    (folder) =>
      Effect.catch(put(folder), ({ finding }) => Effect.logWarning(`the compiled program cannot be kept: ${finding}`)),
    { discard: true }
  )
})
