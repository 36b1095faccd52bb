import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path } from "effect"
import * as fc from "fast-check"
import * as RunFiles from "../../src/studio/server/RunFiles.ts"
import { makeRun } from "./kit.ts"

const part = fc.oneof(
  fc.constantFrom(
    "..",
    ".",
    "",
    "...",
    "atlas",
    "sprite-0.png",
    "page.html",
    ".hidden.png",
    "link.png",
    "out",
    "other.png",
    "con.png",
    "C:",
    "a\\b.png",
    "%2e%2e",
    "..%2f",
    "\0",
    "x.png\0.html",
    "sprite-0.png.",
    "sprite-0.png ",
    "sprite-0.png::$DATA",
    "～",
    "．．"
  ),
  fc.string({ maxLength: 8 })
)

const hostile = fc.oneof(
  fc.array(part, { maxLength: 6 }).map((parts) => parts.join("/")),
  fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join("\\")}`),
  fc.string()
)

const folders = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* fs.makeTempDirectoryScoped()
  const run = yield* makeRun(path.join(root, "run"))
  yield* fs.writeFileString(path.join(root, "other.png"), "other")
  yield* fs.makeDirectory(path.join(run, "checkpoints/pretrain"), { recursive: true })
  yield* fs.writeFileString(path.join(run, "checkpoints/pretrain/state.json"), "{}")
  yield* fs.symlink(path.join(run, "config.json"), path.join(run, "atlas/config.json"))
  yield* fs.symlink(path.join(run, "atlas/loop.png"), path.join(run, "atlas/loop.png"))
  yield* fs.symlink(path.join(root, "other.png"), path.join(run, "atlas/link.png"))
  yield* fs.symlink(root, path.join(run, "out"))
  yield* fs.symlink(path.join(run, "secret.txt"), path.join(run, "atlas/secret.png"))
  yield* fs.symlink(path.join(run, "atlas/sprite-0.png"), path.join(run, "atlas/same.png"))
  yield* fs.makeDirectory(path.join(run, "folder.png"))
  return { fs, path, run }
})

describe("files of a run folder", () => {
  it.effect("are served if they are pictures in it", () =>
    Effect.gen(function*() {
      const { fs, run } = yield* folders
      const found = yield* RunFiles.find(run, "atlas/sprite-0.png")
      assert.deepInclude(found, { type: "image/png", size: "picture".length })
      assert.strictEqual((yield* RunFiles.find(run, "atlas/same.png"))?.tag, found?.tag)
      yield* fs.writeFileString(found!.path, "another")
      assert.notStrictEqual((yield* RunFiles.find(run, "atlas/sprite-0.png"))!.tag, found!.tag)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect.each([
    "atlas/link.png",
    "out/other.png",
    "atlas/secret.png",
    "atlas/page.html",
    "atlas/.hidden.png",
    "atlas/none.png",
    "atlas/sprite-0.png/none.png",
    "secret.txt",
    "config.json",
    "environment.json",
    "atlas/config.json",
    "checkpoints/pretrain/state.json",
    "folder.png",
    "report.html"
  ])("are not served if they are something else: %s", (name) =>
    Effect.gen(function*() {
      const { run } = yield* folders
      assert.isUndefined(yield* RunFiles.find(run, name))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("fail if a link leads back to itself", () =>
    Effect.gen(function*() {
      const { run } = yield* folders
      const error = yield* Effect.flip(RunFiles.find(run, "atlas/loop.png"))
      assert.strictEqual(error.kind, "circle")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("never lie outside, whatever the name is", () =>
    Effect.gen(function*() {
      const { fs, path, run } = yield* folders
      const home = yield* fs.realPath(run)
      const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(hostile, async (name) => {
            const found = await Effect.runPromiseWith(context)(RunFiles.find(run, name))
            if (found === undefined) return
            assert.isTrue(found.path.startsWith(home + path.sep), name)
            assert.match(found.path, /\.(?:png|webp|jpg|json|onnx|bin)$/)
            assert.notInclude(found.path.slice(home.length), "/.")
          }),
          { numRuns: 300 }
        )
      )
    }).pipe(Effect.provide(NodeServices.layer)))
})
