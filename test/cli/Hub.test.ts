import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem } from "effect"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as ModelFolder from "../../src/pipelines/artifacts/ModelFolder.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import { serving, TOKEN } from "../layers/files/hubServer.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { micro } from "../pipelines/kit.ts"
import { found, hearing, said } from "./kit.ts"

const backbone = { _tag: "Backbone", ...Backbone.untrained(micro().pretrain, 16) } as const

const inEnvironment = (variables: Readonly<Record<string, string>>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(variables))

describe("the Hub on the command line", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("takes a folder and gives it back", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { hubUrl, repositories, visibility } = yield* serving
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* ModelFolder.write(`${folder}/model`, backbone, { name: "model" })
        const told: Array<string> = []
        yield* Effect.gen(function*() {
          const plan = yield* found("push", `${folder}/model`, "someone/model", "--dry-run")
          assert.deepStrictEqual(
            (plan.files as ReadonlyArray<{ readonly name: string }>).map(({ name }) => name),
            ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
          )
          assert.isFalse(repositories.has("someone/model"))

          const sent = yield* said("push", `${folder}/model`, "someone/model")
          assert.match(sent, /^visibility +private.*\n.*model\.safetensors \(\d+ bytes\).*\ncommit +http.*c0ffee$/m)
          assert.notInclude(sent + told.join(), TOKEN)
          assert.strictEqual(visibility.get("someone/model"), "private")
          yield* said("push", `${folder}/model`, "someone/shown", "--public")
          assert.strictEqual(visibility.get("someone/shown"), "public")

          const pulled = yield* found("pull", "someone/model", "--out", `${folder}/pulled`)
          assert.sameMembers([...pulled.files as ReadonlyArray<string>], [...repositories.get("someone/model")!.keys()])
          const { tensors } = yield* ModelFolder.read(`${folder}/pulled`)
          assert.strictEqual(
            digestOf(tensors),
            digestOf((yield* ModelFolder.read(`${folder}/model`)).tensors)
          )
          yield* found("pull", "someone/model", "--out", `${folder}/pulled`)
        }).pipe(inEnvironment({ HF_ENDPOINT: hubUrl, HF_TOKEN: TOKEN }), hearing(told))
      }))

    it.effect("takes a weights file as a folder that is made of it", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { hubUrl, repositories } = yield* serving
        const folder = yield* fs.makeTempDirectoryScoped()
        const { tensors, ...model } = backbone
        const about = { stage: "pretrain", configDigest: "c", dataDigest: "d", step: 7, seed: 3, model }
        const weights = Weights.make(tensors, new Weights.Provenance(about))
        yield* Weights.write(`${folder}/pretrain.safetensors`, weights)
        yield* said("push", `${folder}/pretrain.safetensors`, "someone/tiny", "--licence", "mit").pipe(
          inEnvironment({ HF_ENDPOINT: hubUrl, HF_TOKEN: TOKEN })
        )
        const sent = repositories.get("someone/tiny")!
        assert.include(sent.get("config.json")!.toString(), "BeitForMaskedImageModeling")
        assert.match(sent.get("README.md")!.toString(), /license: mit[^]*# tiny[^]*\| stage \| pretrain \|/)
      }))

    it.effect("is not asked without a token, for what is no name, or over other files", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* ModelFolder.write(`${folder}/model`, backbone, { name: "model" })
        const nowhere = inEnvironment({ HF_ENDPOINT: "http://127.0.0.1:9" })
        const refused = (...args: ReadonlyArray<string>) => Effect.map(Effect.flip(said(...args).pipe(nowhere)), String)
        assert.include(yield* refused("push", `${folder}/model`, "someone/model"), "set the variable HF_TOKEN")
        assert.include(
          yield* refused("pull", "someone/model", "--out", folder),
          "expected a new folder or the folder of a network, got a folder with other files"
        )
        assert.include(yield* refused("pull", "someone/model", "--out", `${folder}/new`), "the Hub was not reached")
        const told: Array<string> = []
        yield* Effect.flip(said("pull", "model", "--out", `${folder}/new`).pipe(nowhere, hearing(told)))
        assert.deepStrictEqual(yield* fs.readDirectory(folder), ["model"])
      }))
  })
})
