import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Logger } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CompiledPrograms from "../../../src/layers/files/CompiledPrograms.ts"
import * as Files from "../../../src/layers/files/Files.ts"

const origin = { plugin: "PJRT 0.115", program: "a digest" }

const program = Uint8Array.from({ length: 100 }, (_, i) => i)

const within = (body: (root: string) => Effect.Effect<void, never, Effect.Services<ReturnType<typeof found>>>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "patchword-programs-"))),
    (root) => Effect.provide(body(root), Files.layerNode),
    (root) => Effect.sync(() => rmSync(root, { recursive: true }))
  )

const of = (user: string) => Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: user })))

const told = Effect.fnUntraced(function*<A, E, R>(body: Effect.Effect<A, E, R>) {
  const lines: Array<string> = []
  const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
  return [yield* Effect.provide(body, logger), lines] as const
})

const found = (user: string, ...folders: ReadonlyArray<string>) =>
  told(
    Effect.map(
      CompiledPrograms.find(folders, origin),
      ({ lacking, program }) => ({ lacking, program: program && Array.from(program) })
    )
  ).pipe(of(user))

const kept = (user: string, ...folders: ReadonlyArray<string>) =>
  told(CompiledPrograms.keep(folders, origin, program)).pipe(of(user))

describe("a compiled program", () => {
  it.effect("is found in the first folder that has it", () =>
    within(Effect.fnUntraced(function*(root) {
      const [one, two, three] = ["one", "two", "three"].map((name) => join(root, name)) as [string, string, string]
      const all = [one, two, three]
      assert.deepStrictEqual(yield* found(root, ...all), [{ program: undefined, lacking: all }, []])
      assert.deepStrictEqual(yield* kept(root, two, three), [undefined, []])
      assert.deepStrictEqual(yield* found(root, ...all), [{ program: Array.from(program), lacking: [one] }, []])
    })))

  it.effect.each(
    [
      ["damaged", (content: Buffer) => content.fill(7, content.length - 9), "it is damaged, or another user made it"],
      ["half written", (content: Buffer) => content.subarray(0, -9), "it is damaged, or another user made it"],
      ["empty", () => Buffer.from(""), "it does not begin as such files do"],
      ["a text", () => Buffer.from("{}\n"), "it does not begin as such files do"],
      [
        "of another library",
        (content: Buffer) => content.fill("Q", content.indexOf("PJRT"), content.indexOf("PJRT") + 1),
        "it is of another program, library or device"
      ]
    ] as const
  )("that is %s is told of, and replaced", ([, spoiled, problem]) =>
    within(Effect.fnUntraced(function*(root) {
      const folder = join(root, "folder")
      yield* kept(root, folder)
      const file = join(folder, readdirSync(folder)[0]!)
      writeFileSync(file, spoiled(readFileSync(file)))
      assert.deepStrictEqual(yield* found(root, folder), [
        { program: undefined, lacking: [folder] },
        [`the compiled program ${file} cannot be used: ${problem}. The program is compiled again`]
      ])
      yield* kept(root, folder)
      assert.deepStrictEqual(yield* found(root, folder), [{ program: Array.from(program), lacking: [] }, []])
    })))

  it.effect("of another user is not taken", () =>
    within(Effect.fnUntraced(function*(root) {
      const folder = join(root, "folder")
      yield* kept(root, folder)
      for (const user of ["without a key", "with a key"]) {
        const [{ program }, lines] = yield* found(join(root, user), folder)
        assert.isUndefined(program)
        assert.match(lines.join(), /it is damaged, or another user made it/)
        yield* kept(join(root, "with a key"), join(root, "elsewhere"))
      }
    })))

  it.effect("is not kept where nothing can be written, which is told", () =>
    within(Effect.fnUntraced(function*(root) {
      const file = join(root, "file")
      writeFileSync(file, "")
      const [, lines] = yield* kept(root, file)
      assert.match(lines.join(), /^the compiled program cannot be kept: /)
      assert.deepStrictEqual(yield* found(root, file), [{ program: undefined, lacking: [file] }, []])
    })))
})
