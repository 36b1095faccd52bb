/**
 * Work in shards that several processes do together, on one machine or on many, through one folder. There is no server: each process
 * claims a shard that nobody has claimed, until all are made. Processes may come and go at any time.
 *
 * | file | holds |
 * | --- | --- |
 * | `work.json` | what the work is; processes with other work are refused |
 * | `claim-00003.json` | the process that has begun the shard 3. It is a hint, no lock |
 * | `shard-00003.bin` | the shard, and its SHA-256 at the end. It appears as a whole, and never changes |
 *
 * A shard depends on nothing but the work and its number. So it does no harm if two processes make the same: the first one stays, and the
 * second one compares. A claim is void at once if its process is of this machine and has ended. Other claims are void after twice the
 * time that the longest shard of this process took, counted from when it first saw them. So the clocks of machines do not matter. A process
 * whose share fails or is interrupted takes its claim back.
 *
 * ```ts
 * import assert from "node:assert"
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { Effect, FileSystem } from "effect"
 * import { SharedWork } from "patchword/layers"
 *
 * const program = Effect.gen(function*() {
 *   const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
 *   const work = { about: { squares: true }, shards: 3 }
 *   yield* SharedWork.make(folder, work, (shard, write) => write(Uint8Array.of(shard * shard)))
 *   assert.deepStrictEqual(yield* SharedWork.read(folder, 2), Uint8Array.of(4))
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
 * ```
 */
import { Clock, Effect, type FileSystem, Option, Path, Runtime, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"

const WORK = "work.json"
const SEAL = 32

/** The folder holds other work. */
export class OtherWork extends TaggedError<OtherWork>()("OtherWork", { differences: Schema.Array(Json.Difference) }) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `it holds other work (${Json.showDifferences(this.differences)})`
  }
  get remedy() {
    return "give all processes the same settings, the same engine and the same number of threads, or choose another folder"
  }
}

/** A file of the folder differs from what was written. */
export class ShardDamaged extends TaggedError<ShardDamaged>()("ShardDamaged", {
  file: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.file} is damaged (${this.problem})`
  }
  get remedy() {
    return "delete this file and begin again: only what is missing is made"
  }
}

/** Two processes made different content for one shard. */
export class ShardDiffers extends TaggedError<ShardDiffers>()("ShardDiffers", { file: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.file} is there already, and differs from what this process made`
  }
  get remedy() {
    return "the machines compute different bytes: begin again in an empty folder with machines of one kind"
  }
}

/** Shared work cannot go on. The exit code is that of the reason. */
export class SharedWorkError extends TaggedError<SharedWorkError>()("SharedWorkError", {
  folder: Schema.String,
  reason: Schema.Union([OtherWork, ShardDamaged, ShardDiffers, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "FileError" ? this.reason.finding : `${this.folder}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Fails with `ConfigError` if the folder of the shards is the place of the result, a file or a folder. */
export const checkPlace = Effect.fnUntraced(function*(folder: string, result: string) {
  const { resolve } = yield* Path.Path
  if (resolve(folder) !== resolve(result)) return
  return yield* Config.refusal(
    "--shards",
    `expected another place than that of the result, ${result}, got ${folder}`,
    "name a folder of its own for the shards, and delete it at the end"
  )
})

/** The work of a folder. */
export interface Work {
  /** All that the content of the shards depends on. */
  readonly about: Readonly<Record<string, Json.Json>>
  readonly shards: number
}

const number = (shard: number): string => String(shard).padStart(5, "0")
const shardOf = (shard: number): string => `shard-${number(shard)}.bin`
const claimOf = (shard: number): string => `claim-${number(shard)}.json`

const Described = Json.text(Schema.JsonObject, { space: 2 })
const Counted = Json.text(Schema.Struct({ shards: Schema.Int }))
const Holder = Json.text(Lock.Process)

type Reason = SharedWorkError["reason"]

const within =
  (folder: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, Exclude<E, Reason> | SharedWorkError, R> =>
    Effect.mapError(
      self,
      (error) =>
        error instanceof OtherWork || error instanceof ShardDamaged || error instanceof ShardDiffers ||
          error instanceof Files.FileError
          ? new SharedWorkError({ folder, reason: error })
          : error as Exclude<E, Reason>
    )

const opened = Effect.fnUntraced(function*(files: Files.Files, folder: string, { about, shards }: Work) {
  const file = files.path.join(folder, WORK)
  const asked = { format: 1, shards, ...about }
  yield* files.makeFolder(folder)
  if (yield* files.create(file, `${yield* Effect.orDie(Schema.encodeEffect(Described)(asked))}\n`)) return
  const stored = yield* Effect.mapError(
    Effect.flatMap(files.readText(file), Schema.decodeEffect(Described)),
    (error) => error._tag === "FileError" ? error : new ShardDamaged({ file: WORK, problem: error.message })
  )
  const differences = Json.differences(stored, asked)
  if (differences.length > 0) return yield* new OtherWork({ differences })
})

const sealed = Effect.fnUntraced(function*(files: Files.Files, folder: string, shard: number) {
  const file = files.path.join(folder, shardOf(shard))
  const all = yield* Files.onFailure(file)(files.fs.readFile(file))
  // Node.js gives a buffer of its own kind.
  const content = new Uint8Array(all.buffer, all.byteOffset, Math.max(0, all.length - SEAL))
  const seal = Buffer.from(all.subarray(content.length)).toString("hex")
  if (Files.sha256(content) === seal) return { content, seal }
  return yield* new ShardDamaged({ file: shardOf(shard), problem: "it does not have the SHA-256 at its end" })
})

/** The time after which claims are void, for a process that has made no shard yet. */
const PATIENCE = 60_000
const PAUSE = "250 millis"

/**
 * Makes shards until all of the folder are made, also by other processes. `content` writes the content of one shard, part by part. `tell`
 * is called with the number of shards that are made, by whomever.
 *
 * Fails with `OtherWork` if the folder holds other work, with `ShardDiffers` if another process made other content, and as `content`
 * fails. Other processes go on then.
 */
export const make: <E, R>(
  folder: string,
  work: Work,
  content: (
    shard: number,
    write: (part: Uint8Array) => Effect.Effect<void, Files.FileError>
  ) => Effect.Effect<void, E, R>,
  tell?: (made: number) => Effect.Effect<void>
) => Effect.Effect<void, Exclude<E, Reason> | SharedWorkError, R | FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.SharedWork.make"
)(
  function*(folder, work, content, tell = () => Effect.void) {
    const files = yield* Files.make
    const { fs, path } = files
    const { shards } = work
    yield* Effect.annotateCurrentSpan({ "patchword.shards": shards })
    yield* within(folder)(opened(files, folder, work))
    const me = yield* Effect.orDie(Schema.encodeEffect(Holder)(yield* Lock.here(files)))
    const names = Files.onFailure(folder)(fs.readDirectory(folder))
    yield* within(folder)(files.sweep(folder))

    const seen = new Map<number, number>()
    let longest: number | undefined

    const begin = Effect.fnUntraced(function*(shard: number) {
      const before = yield* Clock.currentTimeMillis
      const hash = Files.hasher()
      let seal = ""
      const first = yield* files.createParts(path.join(folder, shardOf(shard)), (append) =>
        Effect.gen(function*() {
          yield* content(shard, (part) => Effect.andThen(Effect.sync(() => hash.update(part)), append(part)))
          seal = hash.digest("hex")
          yield* append(Buffer.from(seal, "hex"))
        }))
      if (!first && (yield* sealed(files, folder, shard)).seal !== seal) {
        return yield* new ShardDiffers({ file: shardOf(shard) })
      }
      longest = Math.max(longest ?? 0, (yield* Clock.currentTimeMillis) - before)
    }, (self, shard) =>
      // Otherwise others would wait for a process that lives, but has ended its share.
      Effect.onError(self, () => Effect.ignore(fs.remove(path.join(folder, claimOf(shard))))))

    /** Tests whether nobody seems to work on a claimed shard. */
    const isVoid = Effect.fnUntraced(function*(shard: number) {
      const now = yield* Clock.currentTimeMillis
      const since = seen.get(shard) ?? now
      seen.set(shard, since)
      if (now - since > (longest === undefined ? PATIENCE : 2 * longest + 1000)) return true
      const text = yield* Files.ifThere(files.readText(path.join(folder, claimOf(shard))))
      const holder = Option.flatMap(text, Schema.decodeOption(Holder))
      return Option.isSome(holder) && !(yield* Lock.mayRun(files, holder.value))
    })

    let made = -1
    for (;;) {
      const there = new Set(yield* within(folder)(names))
      const left = Array.from({ length: shards }, (_, shard) => shard).filter((shard) => !there.has(shardOf(shard)))
      if (shards - left.length !== made) yield* tell(made = shards - left.length)
      if (left.length === 0) return
      const free = left.find((shard) => !there.has(claimOf(shard)))
      const claimed = free !== undefined && (yield* within(folder)(files.create(path.join(folder, claimOf(free)), me)))
      const next = free === undefined
        ? Option.getOrUndefined(yield* within(folder)(Effect.findFirst(left, isVoid)))
        : claimed
        ? free
        : undefined
      if (next !== undefined) yield* within(folder)(begin(next))
      else if (free === undefined) yield* Effect.sleep(PAUSE)
    }
  }
)

/** Tests whether all shards of a folder are made. A folder without work has none. */
export const isMade: (
  folder: string
) => Effect.Effect<boolean, SharedWorkError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function*(folder) {
  const files = yield* Files.make
  const text = yield* Files.ifThere(files.readText(files.path.join(folder, WORK)))
  const shards = Option.map(Option.flatMap(text, Schema.decodeOption(Counted)), ({ shards }) => shards)
  if (Option.isNone(shards)) return false
  const there = new Set(yield* Files.onFailure(folder)(files.fs.readDirectory(folder)))
  return Array.from({ length: shards.value }, (_, shard) => shardOf(shard)).every((name) => there.has(name))
}, (self, folder) => within(folder)(self))

/** Reads a shard. Fails with `ShardDamaged` if it differs from what was written. */
export const read: (
  folder: string,
  shard: number
) => Effect.Effect<Uint8Array, SharedWorkError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.SharedWork.read"
)(
  function*(folder, shard) {
    return (yield* within(folder)(sealed(yield* Files.make, folder, shard))).content
  }
)
