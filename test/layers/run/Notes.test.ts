import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Runtime } from "effect"
import { TestClock } from "effect/testing"
import * as Notes from "../../../src/layers/run/Notes.ts"
import * as Runs from "../../../src/layers/run/Runs.ts"

const withFolder = <A, E>(
  use: (folder: string, fs: FileSystem.FileSystem) => Effect.Effect<A, E, NodeServices.NodeServices>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped(), fs)
  }).pipe(Effect.provide(NodeServices.layer))

describe("Notes", () => {
  it.effect("keeps tags and notes in the order in which they were given", () =>
    withFolder(Effect.fnUntraced(function*(folder) {
      assert.deepStrictEqual(yield* Notes.read(folder), { tags: [], notes: [], damaged: [] })
      yield* Notes.tag(folder, ["paper", "größer"])
      yield* Notes.tag(folder, ["good", "paper"])
      const first = yield* Notes.add(folder, "two\nlines <b>")
      yield* TestClock.adjust("1 hour")
      const second = yield* Notes.add(folder, "later")
      yield* Notes.untag(folder, ["paper"])
      const known = yield* Notes.read(folder)
      assert.deepStrictEqual(known.tags, ["größer", "good"])
      assert.deepStrictEqual(known.notes, [first, second])
      assert.deepStrictEqual([first.at, first.text], ["1970-01-01T00:00:00.000Z", "two\nlines <b>"])
      yield* Notes.forget(folder, first.id)
      assert.deepStrictEqual((yield* Notes.read(folder)).notes, [second])
    })))

  it.effect("loses nothing of writers at the same time, or after one that was killed", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const file = `${folder}/${Notes.FILE}`
      yield* fs.writeFileString(file, "{\"at\":\"x\",\"ta")
      const tags = Array.from({ length: 40 }, (_, i) => `t${i}`)
      yield* Effect.forEach(tags, (tag) => Notes.tag(folder, [tag]), { concurrency: "unbounded", discard: true })
      const known = yield* Notes.read(folder)
      assert.deepStrictEqual(known.tags.toSorted(), tags.toSorted())
      assert.deepStrictEqual(known.damaged, [1])
    })))

  it.effect("writes a line for each change, and through no symbolic link", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const file = `${folder}/${Notes.FILE}`
      yield* Notes.tag(folder, ["a", "b"])
      yield* Notes.add(folder, "c")
      assert.match(yield* fs.readFileString(file), /^(\{.*\}\n){3}$/)
      for (const [name, isThere] of [["there", true], ["missing", false]] as const) {
        const [run, other] = [`${folder}/${name}`, `${folder}/${name}.txt`]
        yield* fs.makeDirectory(run)
        if (isThere) yield* fs.writeFileString(other, "mine")
        yield* fs.symlink(other, `${run}/${Notes.FILE}`)
        for (const change of [Notes.tag(run, ["a"]), Effect.asVoid(Notes.add(run, "b"))]) {
          const error = yield* Effect.flip(change)
          assert.include(error.message, `${run}/${Notes.FILE}: this is a symbolic link`)
        }
        assert.strictEqual(yield* fs.exists(other), isThere)
        if (isThere) assert.strictEqual(yield* fs.readFileString(other), "mine")
      }
    })))

  it.effect("refuses what is no tag or no note, and what is not there", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const refused = <A, E extends Notes.NotesError, R>(self: Effect.Effect<A, E, R>) =>
        Effect.map(Effect.flip(self), (error) => [error.reason._tag, error[Runtime.errorExitCode]])
      for (const tag of ["", "a b", "-x", "a/b", "x".repeat(65), "<b>"]) {
        assert.deepStrictEqual(yield* refused(Notes.tag(folder, [tag])), ["TagInvalid", 64])
      }
      assert.deepStrictEqual(yield* refused(Notes.add(folder, " \n")), ["NoteInvalid", 64])
      assert.deepStrictEqual(yield* refused(Notes.add(folder, "x".repeat(10_001))), ["NoteInvalid", 64])
      assert.deepStrictEqual(yield* refused(Notes.untag(folder, ["a"])), ["NoteMissing", 66])
      assert.deepStrictEqual(yield* refused(Notes.forget(folder, "a")), ["NoteMissing", 66])
      assert.isFalse(yield* fs.exists(`${folder}/${Notes.FILE}`))
    })))

  it.effect("cannot change a terminal", () =>
    withFolder(Effect.fnUntraced(function*(folder) {
      assert.strictEqual((yield* Notes.add(folder, "a\u001b[2Jb\nc")).text, "a\ufffd[2Jb\nc")
    })))

  it.effect("do not change a run: it goes on, and keeps them", () =>
    withFolder(Effect.fnUntraced(function*(folder, fs) {
      const run = `${folder}/run`
      const using = <A, E>(use: Effect.Effect<A, E, Runs.Runs | NodeServices.NodeServices>) =>
        Effect.provide(use, Runs.layerNoDeps(run, { config: { lr: 1 } }))
      yield* using(Effect.gen(function*() {
        yield* (yield* Runs.Runs).log({ stage: "a", step: 1 })
        yield* Notes.tag(run, ["good"])
      }))
      const log = yield* fs.readFileString(`${run}/log.jsonl`)
      assert.strictEqual((yield* using(Effect.flatMap(Runs.Runs, ({ readLog }) => readLog))).length, 1)
      assert.strictEqual(yield* fs.readFileString(`${run}/log.jsonl`), log)
      assert.deepStrictEqual((yield* Notes.read(run)).tags, ["good"])
    })))
})
