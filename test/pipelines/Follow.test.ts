import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as Follow from "../../src/pipelines/runs/Follow.ts"
import { lock, result, rows, run, steps, write } from "./runFolders.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-follow-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Counts the bytes that are read from the log. */
const counted = (bytes: { log: number }) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      watch: () => Stream.empty,
      open: (path: string, options?: Parameters<typeof fs.open>[1]) =>
        Effect.map(fs.open(path, options), (handle): FileSystem.File => ({
          ...handle,
          stat: handle.stat,
          readAlloc: (size, more) =>
            Effect.tap(handle.readAlloc(size, more), (read) =>
              Effect.sync(() => {
                if (path.endsWith("log.jsonl") && read._tag === "Some") bytes.log += read.value.length
              }))
        }))
    }))
  ).pipe(Layer.provideMerge(NodeServices.layer))

const following = Effect.fnUntraced(function*(place: string) {
  const events: Array<Follow.Event> = []
  const fiber = yield* Follow.follow(place, { every: "1 second" }).pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.forkScoped
  )
  // Reading a file takes real time.
  const pass = Effect.andThen(TestClock.adjust("300 millis"), TestClock.withLive(Effect.sleep("15 millis")))
  const next = (count: number) =>
    Effect.gen(function*() {
      yield* pass.pipe(Effect.repeat({ until: () => events.length >= count, times: 400 }))
      return events.splice(0)
    })
  const quiet = Effect.gen(function*() {
    yield* pass.pipe(Effect.repeat({ times: 9 }))
    assert.deepStrictEqual(events, [])
  })
  return { next, quiet, fiber }
})

const tags = (events: ReadonlyArray<Follow.Event>) => events.map(({ _tag }) => _tag)
const stepsOf = (events: ReadonlyArray<Follow.Event>) =>
  events.flatMap((event) => event._tag === "Rows" ? event.rows.map(({ step }) => step) : [])
const curve = (events: ReadonlyArray<Follow.Event>) =>
  events.flatMap((event) => event._tag === "Curves" ? event.curves : []).find(({ metric }) => metric === "loss")

describe("follow", () => {
  it.effect("tells rows, states, checkpoints and results, and reads only what was appended", () => {
    const bytes = { log: 0 }
    return Effect.gen(function*() {
      const place = join(folder, "one")
      const log = join(place, "log.jsonl")
      run(place, { "log.jsonl": rows(steps("pretrain", 1, 2000)), lock: lock(process.pid) })
      const { next, quiet } = yield* following(place)
      const first = yield* next(3)
      assert.deepStrictEqual(tags(first), ["Run", "Speed", "Curves"])
      assert.strictEqual(Array.from(curve(first)!.steps).at(-1), 2000)
      yield* quiet

      bytes.log = 0
      const row = rows(steps("pretrain", 2001, 2001))
      appendFileSync(log, row.slice(0, 20))
      yield* quiet
      appendFileSync(log, `${row.slice(20)}${rows(steps("pretrain", 2002, 2003))}`)
      const appended = yield* next(1)
      assert.deepStrictEqual(tags(appended), ["Rows"])
      assert.deepStrictEqual(stepsOf(appended), [2001, 2002, 2003])
      assert.isBelow(bytes.log, 10_000)

      write(place, {
        "checkpoints/pretrain/step-00002000/state.json": {},
        "results/probe-a.json": result(),
        "timings.jsonl": rows([{ stage: "pretrain", step: 2003, seconds: 10, steps: 2003, total: 3000, batchSize: 16 }])
      })
      const news = yield* next(4)
      assert.deepStrictEqual(tags(news), ["Run", "Checkpoint", "Result", "Speed"])
      assert.include(news[1], { stage: "pretrain", step: 2000 })

      rmSync(join(place, "lock"))
      const [stopped] = yield* next(1)
      assert.strictEqual(stopped?._tag === "Run" && stopped.run.state, "stopped")
      yield* quiet
    }).pipe(Effect.provide(counted(bytes)))
  })

  it.effect("begins again where the log was cut or written anew, and not where it was copied with more", () =>
    Effect.gen(function*() {
      const place = join(folder, "two")
      const log = join(place, "log.jsonl")
      run(place, { "log.jsonl": rows(steps("pretrain", 1, 50)) })
      const { next } = yield* following(place)
      assert.deepStrictEqual(tags(yield* next(3)), ["Run", "Speed", "Curves"])

      // As a resumed run does.
      writeFileSync(`${log}.new`, rows(steps("pretrain", 1, 40)))
      renameSync(`${log}.new`, log)
      const cut = yield* next(1)
      assert.deepStrictEqual(Array.from(curve(cut)!.steps).at(-1), 40)
      appendFileSync(log, rows(steps("pretrain", 41, 42)))
      assert.deepStrictEqual(stepsOf(yield* next(1)), [41, 42])

      // As a copying tool does.
      writeFileSync(`${log}.new`, rows(steps("pretrain", 1, 45)))
      renameSync(`${log}.new`, log)
      const copied = yield* next(1)
      assert.deepStrictEqual([tags(copied), stepsOf(copied)], [["Rows"], [43, 44, 45]])

      writeFileSync(log, rows(steps("tokenizer", 1, 90)))
      assert.strictEqual(curve(yield* next(1))!.stage, "tokenizer")
    }).pipe(Effect.provide(counted({ log: 0 }))))

  it.effect("waits for a folder that is not there, and for one that vanished", () =>
    Effect.gen(function*() {
      const place = join(folder, "three")
      const { fiber, next, quiet } = yield* following(place)
      assert.deepStrictEqual(tags(yield* next(1)), ["Gone"])
      yield* quiet
      run(place, { "log.jsonl": rows(steps("pretrain", 1, 3)) })
      assert.deepStrictEqual(tags(yield* next(3)), ["Run", "Speed", "Curves"])
      renameSync(place, `${place}-moved`)
      assert.deepStrictEqual(tags(yield* next(1)), ["Gone"])
      renameSync(`${place}-moved`, place)
      assert.deepStrictEqual(tags(yield* next(3)), ["Run", "Speed", "Curves"])
      assert.isUndefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(counted({ log: 0 }))))

  it.live("hears of a row at once where the folder can be watched", () =>
    Effect.gen(function*() {
      const place = join(folder, "four")
      run(place, { "log.jsonl": rows(steps("pretrain", 1, 3)) })
      const events = yield* Queue.unbounded<Follow.Event>()
      yield* Follow.follow(place, { every: "1 hour", least: "1 millis" }).pipe(
        Stream.runForEach((event) => Queue.offer(events, event)),
        Effect.forkScoped
      )
      for (const tag of ["Run", "Speed", "Curves"]) assert.strictEqual((yield* Queue.take(events))._tag, tag)
      yield* Effect.sleep("100 millis")
      appendFileSync(join(place, "log.jsonl"), rows(steps("pretrain", 4, 4)))
      const heard = yield* Queue.take(events).pipe(
        Effect.repeat({ until: ({ _tag }) => _tag === "Rows" }),
        Effect.timeout("5 seconds")
      )
      assert.deepStrictEqual(stepsOf([heard]), [4])
    }).pipe(Effect.provide(NodeServices.layer)))
})
