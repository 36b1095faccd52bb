import { NodePath, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { on, once } from "node:events"
import { fileURLToPath } from "node:url"
import { Fences } from "../../../src/layers/files/Fence.ts"
import * as Files from "../../../src/layers/files/Files.ts"
import * as Checkpoints from "../../../src/layers/run/Checkpoints.ts"
import * as Results from "../../../src/layers/run/Results.ts"
import * as Runs from "../../../src/layers/run/Runs.ts"
import { filesOf } from "./files.ts"
import { config, snapshot, stage, unflushed } from "./snapshot.ts"
import { stopsOf } from "./stops.ts"

const saved = (step: number, by: string) => snapshot(step, by, Float32Array.of(step, by.length))

const begin = Effect.gen(function*() {
  const run = yield* Runs.Runs
  const checkpoints = yield* Checkpoints.Checkpoints
  for (const step of [1, 2]) yield* run.log({ stage, step, by: "first" })
  yield* checkpoints.save(saved(2, "first"))
})

const opened = (folder: string, by: (fs: FileSystem.FileSystem) => FileSystem.FileSystem, takeOver: boolean) => {
  const hasty = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => by(unflushed(fs)))
  )
  const platform = Layer.merge(Layer.provide(hasty, NodeServices.layer), NodePath.layer)
  return Layer.provideMerge(Runs.layerNoDeps(folder, { config, takeOver }), platform)
}

const succeed = (folder: string) =>
  Effect.gen(function*() {
    const run = yield* Runs.Runs
    const checkpoints = yield* Checkpoints.Checkpoints
    const step = ((yield* checkpoints.steps(stage)).at(-1) ?? 0) + 1
    yield* run.rewind(stage, step)
    yield* run.log({ stage, step, by: "second" })
    yield* checkpoints.save(saved(step, "second"))
    yield* checkpoints.save(saved(step, "second again"))
    yield* run.done(stage, "second")
  }).pipe(Effect.provide(opened(folder, (fs) => fs, true), { local: true }), Effect.orDie)

const stoppedAt = (gate: Effect.Effect<void>) => (fs: FileSystem.FileSystem): FileSystem.FileSystem => {
  const gated = <T extends object>(service: T): T =>
    new Proxy(service, {
      get: (target, name) => {
        const member = Reflect.get(target, name)
        if (Effect.isEffect(member)) return Effect.andThen(gate, member)
        if (typeof member !== "function") return member
        return (...args: Array<unknown>) => {
          const called = Reflect.apply(member, target, args)
          if (!Effect.isEffect(called)) return called
          const waiting = Effect.andThen(gate, called as Effect.Effect<object>)
          return name === "open" ? Effect.map(waiting, gated) : waiting
        }
      }
    })
  return gated(fs)
}

type Services = Runs.Runs | Checkpoints.Checkpoints | FileSystem.FileSystem | NodeServices.NodeServices
type Write = (folder: string) => Effect.Effect<unknown, unknown, Services>
const { Checkpoints: Saved } = Checkpoints

const row = Runs.Runs.use(({ log }) => log({ stage, step: 3, by: "first" }))
const emptied = Runs.Runs.use(({ rewind }) => rewind(stage, 0))

const writes: Readonly<Record<string, readonly [Write, before?: Effect.Effect<unknown, unknown, Services>]>> = {
  "a row": [() => row],
  "the first row": [() => row, emptied],
  "a result": [() => Runs.Runs.use(({ done }) => done(stage, "first"))],
  "a checkpoint": [() => Saved.use(({ save }) => save(saved(3, "first")))],
  "a checkpoint once more": [() => Saved.use(({ save }) => save(saved(2, "first, once more")))],
  "the removal of checkpoints": [() => Saved.use(({ clear }) => clear(stage))],
  "a file of a part that knows nothing of runs": [Effect.fnUntraced(function*(folder) {
    yield* (yield* Files.make).write(`${folder}/${Results.FOLDER}/a.json`, "{}")
  })]
}

describe("The fence of a run", () => {
  it.effect.each(Object.entries(writes))(
    "refuses %s of an owner that was stopped at any of its calls",
    ([, [write, before = Effect.void]]) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const once = Effect.fnUntraced(function*(stop: number) {
          const folder = `${yield* fs.makeTempDirectoryScoped()}/run`
          let calls = -Infinity
          let after: Readonly<Record<string, string>> | undefined
          const gate = Effect.suspend(() =>
            calls++ === stop ? Effect.map(succeed(folder), () => void (after = filesOf(folder))) : Effect.void
          )
          const [exit, made] = yield* Effect.gen(function*() {
            yield* Effect.andThen(begin, before)
            calls = 0
            return [yield* Effect.exit(write(folder)), calls] as const
          }).pipe(Effect.provide(opened(folder, stoppedAt(gate), false), { local: true }))
          if (after === undefined) {
            assert.isTrue(Exit.isSuccess(exit), `call ${stop}: ${exit}`)
            return made
          }
          assert.deepStrictEqual(filesOf(folder), after, `call ${stop}`)
          if (Exit.isFailure(exit)) {
            const error = Exit.findErrorOption(exit)
            assert.isTrue(Files.isSuperseded(Option.getOrThrow(error)), `call ${stop}: ${exit.cause}`)
          }
          return made
        })
        const calls = yield* once(Infinity)
        assert.isAbove(calls, 0)
        for (const stop of stopsOf(calls)) yield* once(stop)
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("loses the rows of a former owner, who learns of it within a second", () =>
    Effect.gen(function*() {
      const folder = `${yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()}/run`
      yield* Effect.gen(function*() {
        yield* begin
        yield* succeed(folder)
        const after = filesOf(folder)
        yield* row
        yield* TestClock.adjust("1 second")
        const error = yield* Effect.flip(row)
        assert.isTrue(Files.isSuperseded(error), error.message)
        assert.isTrue(Files.isSuperseded(yield* Effect.flip(row)))
        assert.deepStrictEqual(filesOf(folder), after)
      }).pipe(Effect.provide(opened(folder, (fs) => fs, false)))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("refuses a process that was stopped and goes on when another one has finished", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = `${yield* fs.makeTempDirectoryScoped()}/run`
      const program = fileURLToPath(new URL("owner.ts", import.meta.url))
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, folder])),
        (process) => Effect.sync(() => process.kill("SIGKILL"))
      )
      child.stdout.setEncoding("utf8")
      const told = on(child.stdout, "data", { close: ["end"] })
      yield* Effect.promise(() => told.next())
      child.kill("SIGSTOP")
      const locked = yield* Effect.flip(
        Layer.build(Runs.layer(folder, { config: {} }))
      )
      assert.include(locked.message, `process ${child.pid} on `)
      const ended = once(child, "exit")
      const after = yield* Effect.gen(function*() {
        const run = yield* Runs.Runs
        yield* run.log({ stage, step: 10 ** 6, by: "second" })
        yield* run.done(stage, "second")
        assert.deepStrictEqual((yield* Fences).map(({ number }) => number), [2])
      }).pipe(
        Effect.provide(Runs.layer(folder, { config: {}, takeOver: true }), { local: true }),
        Effect.map(() => filesOf(folder))
      )
      child.kill("SIGCONT")
      assert.deepStrictEqual(yield* Effect.promise(() => ended), [73, null])
      const last = yield* Effect.promise(() => told.next())
      assert.match(
        String(last.value),
        /^true .*run.*: this process was owner 1 of the folder, and its owner has number 2 now; leave the folder/
      )
      assert.deepStrictEqual(filesOf(folder), after)
    }).pipe(Effect.provide(NodeServices.layer)))
})
