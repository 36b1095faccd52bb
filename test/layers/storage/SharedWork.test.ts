import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FileSystem, Runtime } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { hostname } from "node:os"
import { fileURLToPath } from "node:url"
import * as SharedWork from "../../../src/layers/storage/SharedWork.ts"

const work: SharedWork.Work = { about: { test: 1 }, shards: 12 }

const content = (shard: number): Uint8Array => Uint8Array.of(shard, shard * 2)

const inFolder = <E>(
  use: (folder: string, fs: FileSystem.FileSystem) => Effect.Effect<void, E, NodeServices.NodeServices>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    yield* use(yield* fs.makeTempDirectoryScoped(), fs)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const isWhole = Effect.fnUntraced(function*(folder: string) {
  for (let shard = 0; shard < work.shards; shard++) {
    assert.deepStrictEqual(Uint8Array.from(yield* SharedWork.read(folder, shard)), content(shard))
  }
})

const claim = (host: string, pid: number) => JSON.stringify({ pid, host, started: null })

describe("Work that processes share", () => {
  it.live("is made once by all together, and told in one place", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const made: Array<number> = []
      const told: Array<number> = []
      const share = SharedWork.make(
        folder,
        work,
        (shard, write) =>
          Effect.gen(function*() {
            made.push(shard)
            yield* Effect.yieldNow
            for (const byte of content(shard)) yield* write(Uint8Array.of(byte))
          }),
        (count) => Effect.sync(() => void told.push(count))
      )
      yield* Effect.all([share, share, share], { concurrency: "unbounded" })
      assert.deepStrictEqual(made.toSorted((a, b) => a - b), Array.from({ length: 12 }, (_, shard) => shard))
      assert.strictEqual(told.filter((count) => count === 12).length, 3)
      yield* isWhole(folder)
      made.length = 0
      yield* share
      assert.deepStrictEqual(made, [])
    })))

  it.live("is finished by others where a process is killed", () =>
    inFolder(Effect.fnUntraced(function*(folder, fs) {
      const program = fileURLToPath(new URL("sharer.ts", import.meta.url))
      const start = (millis: number) => {
        const child = spawn(process.execPath, [
          "--disable-warning=ExperimentalWarning",
          program,
          folder,
          String(millis)
        ])
        return { child, ended: once(child, "exit") }
      }
      const killed = start(60_000)
      yield* Effect.promise(() => once(killed.child.stdout, "data"))
      const other = start(1)
      yield* Effect.promise(() => once(other.child.stdout, "data"))
      killed.child.kill("SIGKILL")
      yield* Effect.promise(() => killed.ended)
      assert.deepStrictEqual(yield* Effect.promise(() => other.ended), [0, null])
      yield* isWhole(folder)
      yield* SharedWork.make(folder, work, () => Effect.die("nothing is left"))
      assert.deepStrictEqual((yield* fs.readDirectory(folder)).filter((name) => name.startsWith(".tmp-")), [])
    })))

  it.effect("takes the shard of a straggler of another machine after a while, and keeps what came first", () =>
    inFolder(Effect.fnUntraced(function*(folder, fs) {
      const waits = yield* Deferred.make<void>()
      yield* fs.writeFileString(`${folder}/claim-00003.json`, claim("elsewhere", 1))
      yield* fs.writeFileString(`${folder}/claim-00004.json`, claim(hostname(), 999999999))
      const fiber = yield* Effect.forkChild(SharedWork.make(
        folder,
        work,
        (shard, write) => write(content(shard)),
        (count) => count === 11 ? Deferred.succeed(waits, undefined) : Effect.void
      ))
      yield* Deferred.await(waits)
      assert.isFalse(yield* fs.exists(`${folder}/shard-00003.bin`))
      for (let i = 0; i < 40 && fiber.pollUnsafe() === undefined; i++) {
        yield* TestClock.adjust("250 millis")
        yield* Effect.promise(() => new Promise((next) => setImmediate(next)))
        yield* fs.exists(folder)
      }
      yield* Fiber.join(fiber)
      yield* isWhole(folder)
    })))

  it.effect("is not held up by a share that was interrupted", () =>
    inFolder(Effect.fnUntraced(function*(folder, fs) {
      const begun = yield* Deferred.make<void>()
      assert.isFalse(yield* SharedWork.isMade(folder))
      const fiber = yield* Effect.forkChild(SharedWork.make(
        folder,
        work,
        (shard, write) =>
          shard < 2 ? write(content(shard)) : Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
      ))
      yield* Deferred.await(begun)
      assert.isTrue(yield* fs.exists(`${folder}/claim-00002.json`))
      yield* Fiber.interrupt(fiber)
      assert.isFalse(yield* SharedWork.isMade(folder))
      yield* SharedWork.make(folder, work, (shard, write) => write(content(shard)))
      assert.isTrue(yield* SharedWork.isMade(folder))
      yield* isWhole(folder)
    })), 10_000)

  it.effect("refuses other work, other bytes and damaged shards", () =>
    inFolder(Effect.fnUntraced(function*(folder, fs) {
      yield* SharedWork.make(folder, work, (shard, write) => write(content(shard)))
      const other = yield* Effect.flip(SharedWork.make(folder, { ...work, about: { test: 2 } }, () => Effect.void))
      assert.instanceOf(other, SharedWork.SharedWorkError)
      assert.include(other.message, `${folder}: it holds other work (test: the folder has 1, you ask for 2)`)
      assert.strictEqual(other[Runtime.errorExitCode], 73)
      const shard = `${folder}/shard-00002.bin`
      yield* fs.writeFile(shard, Uint8Array.of(1, ...(yield* fs.readFile(shard)).subarray(1)))
      const damaged = yield* Effect.flip(SharedWork.read(folder, 2))
      assert.include(damaged.message, "shard-00002.bin is damaged (it does not have the SHA-256 at its end)")
      yield* fs.remove(shard)
      yield* fs.remove(`${folder}/claim-00002.json`)
      const differs = yield* Effect.flip(SharedWork.make(folder, work, (number, write) =>
        Effect.andThen(
          SharedWork.make(`${folder}/b`, { ...work, shards: 3 }, (one, put) => put(Uint8Array.of(one))).pipe(
            Effect.andThen(fs.copyFile(`${folder}/b/shard-00002.bin`, shard))
          ),
          write(content(number))
        )))
      assert.include(String(differs), "shard-00002.bin is there already, and differs from what this process made")
    })))
})
