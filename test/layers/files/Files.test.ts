import { NodePath, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, PlatformError, Runtime } from "effect"
import { execFileSync } from "node:child_process"
import * as Files from "../../../src/layers/files/Files.ts"

const inFolder = <A, E>(
  use: (files: Files.Files, folder: string) => Effect.Effect<A, E, FileSystem.FileSystem>,
  double: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem> = () => ({})
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const files = yield* Files.make.pipe(
      Effect.provideService(FileSystem.FileSystem, { ...fs, ...double(fs) }),
      Effect.provide(NodePath.layer)
    )
    return yield* use(files, yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeServices.layer))

const failure = (tag: PlatformError.SystemErrorTag, code: string) =>
  Effect.fail(PlatformError.systemError({
    _tag: tag,
    module: "FileSystem",
    method: "test",
    cause: Object.assign(new Error(code), { code })
  }))

describe("Files", () => {
  it.effect("writes and replaces whole files, making folders", () =>
    inFolder(Effect.fnUntraced(function*({ fs, readText, write }, folder) {
      yield* write(`${folder}/a/b.txt`, "one")
      yield* write(`${folder}/a/b.txt`, [Uint8Array.of(116, 119), Uint8Array.of(111)])
      assert.strictEqual(yield* readText(`${folder}/a/b.txt`), "two")
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/a`), ["b.txt"])
    })))

  it.effect("writes files and folders of the longest names", () =>
    inFolder(
      Effect.fnUntraced(function*({ create, fs, makeFolder, removeFolder, write, writeFolder, writeTexts }, folder) {
        const name = (ending: string) => `${"é".repeat(125)}${ending}`
        yield* write(`${folder}/${name(".png")}`, "one")
        yield* writeTexts(`${folder}/${name(".csv")}`, (append) => append("two"))
        assert.isTrue(yield* create(`${folder}/${name(".txt")}`, "three"))
        yield* writeFolder(`${folder}/${name(".dir")}`, () => Effect.void)
        yield* writeFolder(`${folder}/${name(".dir")}`, (to) => Effect.asVoid(create(`${to}/new`, "four")))
        assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/${name(".dir")}`), ["new"])
        yield* makeFolder(`${folder}/${name(".old")}`)
        yield* removeFolder(`${folder}/${name(".old")}`)
        const names = yield* fs.readDirectory(folder)
        assert.sameMembers(names, [".png", ".csv", ".txt", ".dir"].map(name))
      })
    ))

  it.effect("writes nothing behind a link that leads out of a run folder", () =>
    inFolder(Effect.fnUntraced(function*(files, folder) {
      const { appending, appendLines, create, fs, makeFolder, removeFolder, sweep, write, writeFolder, writeTexts } =
        files
      const [run, away] = [`${folder}/runs/one`, `${folder}/away`]
      const append = (file: string, text: string) =>
        Effect.scoped(Effect.flatMap(appending(file), ({ add }) => add(text)))
      yield* makeFolder(`${run}/stages`)
      yield* makeFolder(`${away}/.tmp-4194305-1`)
      yield* write(`${run}/config.json`, "{}")
      yield* fs.symlink(away, `${run}/results`)
      yield* fs.symlink(`${folder}/none`, `${run}/atlas`)
      yield* fs.symlink(`${away}/log`, `${run}/log.jsonl`)
      yield* fs.symlink("stages", `${run}/kept`)
      yield* fs.symlink(`${folder}/runs`, `${folder}/linked`)
      const refused: ReadonlyArray<readonly [string, Effect.Effect<unknown, Files.FileError>]> = [
        ["results", write(`${run}/results/a.json`, "")],
        ["results", writeTexts(`${folder}/linked/one/results/deep/a.json`, () => Effect.void)],
        ["results", create(`${run}/results/a.json`, "")],
        ["results", writeFolder(`${run}/results/a`, () => Effect.void)],
        ["results", appendLines(`${run}/results/a.jsonl`, ["a"])],
        ["results", sweep(`${run}/results`)],
        ["atlas", write(`${run}/atlas/a.json`, "")],
        ["log.jsonl", append(`${run}/log.jsonl`, "{}")]
      ]
      for (const [name, self] of refused) {
        const error = yield* Effect.flip(self)
        assert.deepStrictEqual([error.kind, error.path.split("/").at(-1), error[Runtime.errorExitCode]], [
          "leaving",
          name,
          74
        ])
        assert.include(error.message, "leads out of the run folder")
      }
      assert.deepStrictEqual(yield* fs.readDirectory(away), [".tmp-4194305-1"])
      yield* write(`${folder}/linked/one/kept/a.json`, "one")
      yield* append(`${folder}/linked/one/notes.jsonl`, "two")
      yield* removeFolder(`${run}/results`)
      assert.sameMembers(yield* fs.readDirectory(run), [
        "atlas",
        "config.json",
        "kept",
        "log.jsonl",
        "notes.jsonl",
        "stages"
      ])
      assert.deepStrictEqual(yield* fs.readDirectory(`${run}/stages`), ["a.json"])
      assert.isTrue(yield* fs.exists(away))
    })))

  it.effect("opens nothing but regular files, and follows links to them", () =>
    inFolder(Effect.fnUntraced(function*({ fs, readHeader, readTensors, regular }, folder) {
      const at = (name: string) => `${folder}/${name}`
      execFileSync("mkfifo", [at("fifo")])
      yield* fs.symlink("circle", at("circle"))
      yield* fs.symlink("fifo", at("link"))
      yield* fs.writeFileString(at("file"), "text")
      yield* fs.symlink("file", at("good"))
      yield* regular(at("good"))
      for (const open of [regular, readHeader, readTensors]) {
        for (
          const [name, kind, text] of [
            [at("fifo"), "special", "it is a FIFO"],
            [at("link"), "special", "it is a FIFO"],
            ["/dev/zero", "special", "it is a device"],
            [folder, "special", "it is a folder"],
            [at("circle"), "circle", "leads back to itself"],
            [at("none"), "missing", "no such file"]
          ] as const
        ) {
          const error = yield* Effect.flip<void, Error, never>(Effect.asVoid(open(name)))
          assert(error instanceof Files.FileError)
          assert.strictEqual(error.kind, kind)
          assert.include(error.message, text)
          assert.strictEqual(error[Runtime.errorExitCode], 66)
        }
      }
    })))

  it.effect("makes no file where none can be, and says so at once", () =>
    inFolder(Effect.fnUntraced(function*({ fs, makeFolder, write, writeFolder }, folder) {
      yield* fs.writeFileString(`${folder}/file`, "text")
      const into = (place: string) => writeFolder(place, () => Effect.void)
      const cases = [
        [write("/proc/x/y", "text"), "/proc/x"],
        [into("/proc/x/y"), "/proc/x"],
        [makeFolder("/proc/x/y"), "/proc/x/y"],
        [write("/dev/full", "text"), "/dev/full", "it is a device"],
        [write(folder, "text"), folder, "it is a folder"],
        [makeFolder(`${folder}/file`), `${folder}/file`, "it is a file"],
        [write(`${folder}/file/a/b`, "text"), `${folder}/file/a`]
      ] as const
      for (const [write, place, why = "a part of the path"] of cases) {
        const error = yield* Effect.flip(write)
        assert.deepStrictEqual([error.kind, error.path, error[Runtime.errorExitCode]], ["unwritable", place, 74])
        assert.include(error.message, why)
        assert.include(error.message, "choose another place")
      }
    })))

  it.effect("keeps the old file when the new one cannot be written", () => {
    let failing = false
    return inFolder(
      Effect.fnUntraced(function*({ fs, readText, write }, folder) {
        yield* write(`${folder}/a.txt`, "old")
        failing = true
        const error = yield* Effect.flip(write(`${folder}/a.txt`, "new"))
        assert.strictEqual(error.kind, "full")
        assert.strictEqual(error.path, `${folder}/a.txt`)
        assert.strictEqual(yield* readText(`${folder}/a.txt`), "old")
        assert.deepStrictEqual(yield* fs.readDirectory(folder), ["a.txt"])
      }),
      (fs) => ({ rename: (from, to) => failing ? failure("Unknown", "ENOSPC") : fs.rename(from, to) })
    )
  })

  for (const links of [true, false]) {
    it.effect(`creates a file once ${links ? "with" : "without"} links`, () =>
      inFolder(
        Effect.fnUntraced(function*({ create, fs, readText }, folder) {
          assert.isTrue(yield* create(`${folder}/a`, "one"))
          assert.isFalse(yield* create(`${folder}/a`, "two"))
          assert.strictEqual(yield* readText(`${folder}/a`), "one")
          assert.deepStrictEqual(yield* fs.readDirectory(folder), ["a"])
        }),
        () => links ? {} : { link: () => failure("PermissionDenied", "EPERM") }
      ))
  }

  it.effect("keeps the old folder when the new one cannot be put in its place", () => {
    let failing = false
    return inFolder(
      Effect.fnUntraced(function*({ fs, readText, writeFolder, writeParts }, folder) {
        const fill = (text: string) => (temporary: string) =>
          writeParts(`${temporary}/a`, [new TextEncoder().encode(text)])
        yield* writeFolder(`${folder}/x`, fill("old"))
        failing = true
        yield* Effect.flip(writeFolder(`${folder}/x`, fill("new")))
        assert.strictEqual(yield* readText(`${folder}/x/a`), "old")
        assert.deepStrictEqual(yield* fs.readDirectory(folder), ["x"])
        failing = false
        yield* writeFolder(`${folder}/x`, fill("new"))
        assert.strictEqual(yield* readText(`${folder}/x/a`), "new")
        assert.deepStrictEqual(yield* fs.readDirectory(folder), ["x"])
      }),
      (fs) => ({
        rename: (from, to) => failing && from.includes(".tmp-") ? failure("Unknown", "EIO") : fs.rename(from, to)
      })
    )
  })

  it.effect.each(
    [
      ["NotFound", "ENOENT", "missing", 66],
      ["PermissionDenied", "EACCES", "denied", 74],
      ["Unknown", "ENOSPC", "full", 74],
      ["Unknown", "EDQUOT", "full", 74],
      ["Unknown", "EROFS", "readonly", 74],
      ["Unknown", "EIO", "other", 74]
    ] as const
  )("calls %s by %s %s", ([tag, code, kind, exit]) =>
    inFolder(
      Effect.fnUntraced(function*({ readText }) {
        const error = yield* Effect.flip(readText("here"))
        assert.strictEqual(error.kind, kind)
        assert.strictEqual(error[Runtime.errorExitCode], exit)
        assert.match(error.message, /^here: /)
      }),
      () => ({ readFileString: () => failure(tag, code) })
    ))
})
