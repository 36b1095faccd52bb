import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Redacted, Runtime } from "effect"
import * as Hub from "../../../src/layers/files/Hub.ts"
import { serving, TOKEN } from "./hubServer.ts"

const token = Redacted.make(TOKEN)

const model = Effect.fnUntraced(function*() {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  yield* fs.writeFileString(`${folder}/config.json`, "{\"model_type\":\"beit\"}")
  yield* fs.writeFile(`${folder}/model.safetensors`, Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 256))
  yield* fs.writeFileString(`${folder}/README.md`, "# Model\n")
  yield* fs.writeFileString(`${folder}/notes.txt`, "mine")
  return folder
})

describe("the Hub", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("takes a model folder and gives it back", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { hubUrl, repositories } = yield* serving
        const folder = yield* model()
        const address = yield* Hub.upload(folder, "someone/model", { hubUrl, token })
        assert.strictEqual(address, `${hubUrl}/commit/c0ffee`)
        assert.sameMembers([...repositories.get("someone/model")!.keys()], [
          "README.md",
          "config.json",
          "model.safetensors"
        ])
        yield* Hub.upload(folder, "someone/model", { hubUrl, token })

        const target = `${folder}/fetched`
        const names = yield* Hub.download("someone/model", target, { hubUrl })
        assert.sameMembers([...names], yield* fs.readDirectory(target))
        for (const name of names) {
          assert.deepStrictEqual(yield* fs.readFile(`${target}/${name}`), yield* fs.readFile(`${folder}/${name}`))
        }
      }))

    it.effect("takes weights of PyTorch where there are no others, and nothing where there are none", () =>
      Effect.gen(function*() {
        const { hubUrl, repositories } = yield* serving
        const target = `${yield* model()}/fetched`
        const files = ["config.json", "pytorch_model.bin", "model.safetensors"].map((name) =>
          [name, Buffer.from(name)] as const
        )
        repositories.set("someone/both", new Map(files))
        assert.sameMembers([...yield* Hub.download("someone/both", target, { hubUrl })], [
          "config.json",
          "model.safetensors"
        ])
        repositories.set("someone/old", new Map(files.slice(0, 2)))
        assert.sameMembers([...yield* Hub.download("someone/old", target, { hubUrl })], [
          "config.json",
          "pytorch_model.bin"
        ])
        repositories.set("someone/none", new Map(files.slice(0, 1)))
        const empty = yield* Effect.flip(Hub.download("someone/none", target, { hubUrl }))
        assert.strictEqual(empty.reason._tag, "Empty")
      }))

    it.effect("leaves nothing of what broke off, and keeps what was there", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const server = yield* serving
        const { hubUrl } = server
        const folder = yield* model()
        yield* Hub.upload(folder, "someone/model", { hubUrl, token })
        const target = `${folder}/fetched`
        yield* Hub.download("someone/model", target, { hubUrl })
        server.breaking = true
        const error = yield* Effect.flip(Hub.download("someone/model", target, { hubUrl }))
        assert.strictEqual(error.reason._tag, "Unreachable")
        assert.strictEqual(error[Runtime.errorExitCode], 69)
        assert.strictEqual((yield* fs.readFile(`${target}/model.safetensors`)).length, 5000)
        assert.deepStrictEqual((yield* fs.readDirectory(folder)).filter((name) => name.startsWith(".tmp")), [])
      }))

    it.effect.each([[500, ""], [502, "<html>Bad gateway</html>"], [200, "<!doctype html><p>Log in</p>"]] as const)(
      "tells an answer of another server, %i, from no answer",
      ([status, text]) =>
        Effect.gen(function*() {
          const server = yield* serving
          server.answer = { status, text }
          const { hubUrl } = server
          const folder = yield* model()
          const down = Effect.asVoid(Hub.download("someone/model", `${folder}/x`, { hubUrl }))
          const up = Effect.asVoid(Hub.upload(folder, "someone/model", { hubUrl, token }))
          for (const run of [down, up]) {
            const error = yield* Effect.flip(run)
            assert.strictEqual(error.reason._tag, "WrongAnswer")
            assert.strictEqual(error[Runtime.errorExitCode], 69)
            assert.include(error.message, status === 200 ? "but not as the Hub does (Unexpected token" : `(${status}, `)
          }
        })
    )

    it.effect("says what is not there, and what is not allowed", () =>
      Effect.gen(function*() {
        const { hubUrl, repositories } = yield* serving
        const folder = yield* model()
        const missing = yield* Effect.flip(Hub.download("someone/nothing", `${folder}/x`, { hubUrl }))
        assert.match(missing.message, /^someone\/nothing: there is no such repository.*give a token/)
        assert.strictEqual(missing[Runtime.errorExitCode], 66)
        const refused = yield* Effect.flip(
          Hub.upload(folder, "someone/model", { hubUrl, token: Redacted.make("hf_wrong") })
        )
        assert.match(
          refused.message,
          /^someone\/model: the Hub refused \(Invalid credentials.*expired: make one at .* as HF_TOKEN$/
        )
        assert.strictEqual(refused[Runtime.errorExitCode], 69)
        repositories.set("someone/other", new Map([["data.csv", Buffer.from("1")]]))
        const empty = yield* Effect.flip(Hub.download("someone/other", `${folder}/x`, { hubUrl }))
        assert.include(empty.message, "none of the files of a model (data.csv)")
        const nowhere = yield* Effect.flip(Hub.upload(`${folder}/none`, "someone/model", { hubUrl, token }))
        assert.strictEqual(nowhere[Runtime.errorExitCode], 66)
      }))
  })
})
