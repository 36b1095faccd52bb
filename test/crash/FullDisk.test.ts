import { NodePath, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer } from "effect"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import * as Checkpoints from "../../src/layers/run/Checkpoints.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { filesOf } from "../layers/run/files.ts"
import { config, snapshot, stage, unflushed } from "../layers/run/snapshot.ts"
import { stopsOf } from "../layers/run/stops.ts"
import { outcomeOf } from "./failures.ts"
import { failure, type Operation, watchedDisk } from "./watchedDisk.ts"

const saved = (step: number) => snapshot(step, null, Float32Array.of(step, 1))

class Disk {
  room = Infinity
  needs = 0
  atFailure: Effect.Effect<unknown> = Effect.void

  readonly #before = (operation: Operation) =>
    Effect.suspend(() => {
      const needsRoom = operation.kind === "write" ||
        operation.kind === "folder" && !existsSync(operation.path)
      if (!needsRoom) return Effect.void
      this.needs++
      if (this.room-- > 0) return Effect.void
      const then = this.atFailure
      this.atFailure = Effect.void
      return Effect.andThen(then, Effect.fail(failure("ENOSPC", "Unknown")))
    })

  opened(folder: string, takeOver = false) {
    const watched = Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fs) => watchedDisk(unflushed(fs), { before: this.#before }))
    )
    const platform = Layer.merge(Layer.provide(watched, NodeServices.layer), NodePath.layer)
    return Runs.layerNoDeps(folder, { config, takeOver }).pipe(Layer.provide(platform), Layer.fresh)
  }

  tried(folder: string) {
    return Effect.map(Effect.exit(Effect.scoped(Layer.build(this.opened(folder)))), (exit) => ({
      locked: Exit.isFailure(exit) && /using it/.test(outcomeOf(exit).said),
      ...outcomeOf(exit)
    }))
  }
}

interface Kept {
  readonly rows: Array<number>
  readonly checkpoints: Array<number>
}

const work = (kept: Kept) =>
  Effect.gen(function*() {
    const run = yield* Runs.Runs
    const checkpoints = yield* Checkpoints.Checkpoints
    for (const step of [1, 2, 3]) {
      yield* run.log({ stage, step, loss: 1 / step })
      kept.rows.push(step)
      if (step === 3) continue
      yield* checkpoints.save(saved(step))
      kept.checkpoints.push(step)
    }
    yield* run.done(stage, { step: 3 })
  })

const found = Effect.gen(function*() {
  const rows = (yield* (yield* Runs.Runs).readLog).map(({ step }) => step)
  return { rows, checkpoints: [...yield* (yield* Checkpoints.Checkpoints).steps(stage)] }
})

const folderOf = Effect.map(
  FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped()),
  (place) => `${place}/run`
)

describe("a full disk, while another process opens the run", () => {
  it.effect.each([["first", false], ["second", true]] as const)(
    "gives both a typed error at each write of the %s owner, and loses nothing",
    ([, takeOver]) =>
      Effect.gen(function*() {
        const once = Effect.fnUntraced(function*(room: number) {
          const folder = yield* folderOf
          if (takeOver) {
            mkdirSync(folder)
            writeFileSync(`${folder}/lock`, JSON.stringify({ pid: 999999999, host: hostname(), started: null }))
          }
          const disk = new Disk()
          const kept: Kept = { rows: [], checkpoints: [] }
          const others: Array<Effect.Success<ReturnType<Disk["tried"]>>> = []
          const tries = Effect.map(disk.tried(folder), (one) => void others.push(one))
          disk.room = room
          disk.needs = 0
          disk.atFailure = tries
          const exit = yield* Effect.exit(
            Effect.scoped(Effect.provide(work(kept), disk.opened(folder, takeOver), { local: true }))
          )
          const said = `room for ${room}`
          if (others.length === 0) {
            assert.isTrue(Exit.isSuccess(exit), `${said}: ${exit}`)
            return disk.needs
          }
          assert.deepInclude(outcomeOf(exit), { kind: "typed" }, said)
          yield* tries
          for (const other of others) assert.deepInclude(other, { kind: "typed" }, `${said}: ${other.said}`)
          if (kept.rows.length > 0) assert.deepInclude(others[0], { locked: true }, `${said}: ${others[0]!.said}`)
          assert.deepInclude(others[1], { locked: false }, `${said}: ${others[1]!.said}`)
          const left = existsSync(folder) ? Object.entries(filesOf(folder)) : []
          const held = left.filter(([name, text]) => name.startsWith("lock") && text !== "")
          assert.deepStrictEqual(held.filter(([, text]) => !text.includes("999999999")), [], said)
          disk.room = Infinity
          assert.deepStrictEqual(yield* Effect.provide(found, disk.opened(folder), { local: true }), kept, said)
          return disk.needs
        })
        const needs = yield* Effect.scoped(once(Infinity))
        assert.isAbove(needs, 10)
        for (const room of [0, 1, ...stopsOf(needs)]) yield* Effect.scoped(once(room))
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("is no end: the owner goes on when there is room again", () =>
    Effect.gen(function*() {
      const folder = yield* folderOf
      const disk = new Disk()
      yield* Effect.gen(function*() {
        const run = yield* Runs.Runs
        const checkpoints = yield* Checkpoints.Checkpoints
        yield* run.log({ stage, step: 1, loss: 1 })
        yield* checkpoints.save(saved(1))
        disk.room = 0
        const writes: ReadonlyArray<Effect.Effect<void, { readonly message: string }>> = [
          run.log({ stage, step: 2, loss: 1 }),
          checkpoints.save(saved(2)),
          run.done(stage, {})
        ]
        for (const write of writes) {
          const error = yield* Effect.flip(write)
          assert.match(error.message, /the disk is full; free some space/)
          assert.deepInclude(yield* disk.tried(folder), { kind: "typed", locked: true })
        }
        disk.room = Infinity
        assert.deepStrictEqual(yield* found, { rows: [1], checkpoints: [1] })
        yield* run.log({ stage, step: 2, loss: 1 })
        yield* checkpoints.save(saved(2))
        assert.deepStrictEqual(yield* found, { rows: [1, 2], checkpoints: [1, 2] })
      }).pipe(Effect.provide(disk.opened(folder), { local: true }))
      assert.deepStrictEqual(Object.keys(filesOf(folder)).filter((name) => /^lock|\.tmp-/.test(name)), [])
    }).pipe(Effect.provide(NodeServices.layer)))
})
