import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option, Schema } from "effect"
import { readFileSync } from "node:fs"
import { autoencoder, AutoencoderConfig, steadily } from "../../examples/autoencoder.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import { interruptedAt } from "../../src/laws/Interruption.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Artifact from "../../src/pipelines/artifacts/Artifact.ts"
import { inspect } from "../../src/pipelines/artifacts/Inspect.ts"
import type { StageOptions } from "../../src/pipelines/training/Stage.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro, optimizer, set } from "./kit.ts"

const STEPS = 12

const config = new AutoencoderConfig({
  seed: 3,
  width: 8,
  narrow: 6,
  optimizer: optimizer({ duration: STEPS, lr: 0.01 })
})

const program = Effect.fnUntraced(function*(options: StageOptions = {}, asked = config) {
  const tokenizer = yield* trainTokenizer(micro({ duration: 3, warmup: 1 }).tokenizer)
  return yield* autoencoder(asked, tokenizer, set("train", 24), options)
})

const inFolder = (folder: string) => Effect.provide(Runs.layer(folder, { config: {} }), { local: true })

const folders = Effect.gen(function*() {
  const { makeTempDirectoryScoped } = yield* FileSystem.FileSystem
  return { broken: yield* makeTempDirectoryScoped(), unbroken: yield* makeTempDirectoryScoped() }
})

const filesOf = (folder: string) =>
  ["log.jsonl", "stages/autoencoder.json", "stages/autoencoder.safetensors"].map((name) =>
    readFileSync(`${folder}/${name}`).toString("base64")
  )

describe("the guide to a stage of one's own", () => {
  layer(Layer.merge(machine, NodeServices.layer))((it) => {
    it.effect("shows the example", () =>
      Effect.sync(() => {
        const page = readFileSync(new URL("../../docs/your-own-stage.md", import.meta.url), "utf8")
        const example = readFileSync(new URL("../../examples/autoencoder.ts", import.meta.url), "utf8")
        const blocks = Array.from(page.matchAll(/\n```ts\n(\/\*\*[\s\S]*?)```/g), ([, text]) => text!)
        assert.isAbove(blocks.length, 2)
        for (const block of blocks) assert.include(example, block)
        assert.isAtMost(blocks.find((block) => block.includes("Stage.train"))!.trim().split("\n").length, 43)
      }))

    it.effect("has a stage that ends with the same bytes wherever it was interrupted", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const before = yield* engine.memory
        const { broken, unbroken } = yield* folders
        const whole = yield* inFolder(unbroken)(program())
        const tokenizer = yield* trainTokenizer(micro({ duration: 3, warmup: 1 }).tokenizer).pipe(inFolder(broken))
        const once = autoencoder(config, tokenizer, set("train", 24))
        for (
          const [point, call] of [["in run", 2], ["before log", 3], ["in report", 4], [
            "before saveWeights",
            1
          ]] as const
        ) {
          const met = yield* inFolder(broken)(interruptedAt({ point, call }, once))
          assert.isTrue(met, point)
          assert.deepStrictEqual(yield* engine.memory, before)
        }
        const { log, steps, tensors } = yield* inFolder(broken)(Effect.gen(function*() {
          const steps = yield* (yield* Checkpoints).steps("autoencoder")
          return { steps, tensors: yield* program(), log: yield* (yield* Runs.Runs).readLog }
        }))
        assert.isAbove(steps.length, 0)
        assert.deepStrictEqual(Safetensors.encode(tensors), Safetensors.encode(whole))
        assert.deepStrictEqual(filesOf(broken), filesOf(unbroken))
        const rows = log.filter(({ stage }) => stage === "autoencoder")
        assert.lengthOf(rows, STEPS)
        assert.hasAllKeys(rows[0]!, ["stage", "step", "loss", "accuracy", "gradientNorm", "lr", "weightDecay"])
        assert.isBelow(Number(rows.at(-1)!["loss"]), Number(rows[0]!["loss"]))
      }))

    it.effect("leaves what says of itself what it is, and is opened again", () =>
      Effect.gen(function*() {
        const { unbroken: folder } = yield* folders
        const tensors = yield* inFolder(folder)(program())
        const found = yield* inspect(folder)
        assert(found._tag === "Run")
        const { weights } = found.stages.find(({ stage }) => stage === "autoencoder")!
        assert.deepStrictEqual(weights?.provenance?.custom, {
          name: "Autoencoder",
          config: Schema.encodeSync(AutoencoderConfig)(config)
        })
        assert.deepStrictEqual(weights?.uses, ["Artifact.custom, in code"])
        const opened = yield* Artifact.custom(folder, "Autoencoder", AutoencoderConfig)
        assert.deepStrictEqual(opened.config, config)
        assert.deepStrictEqual(Safetensors.encode(opened.tensors), Safetensors.encode(tensors))

        assert.strictEqual((yield* Artifact.open(folder))._tag, "Tokenizer")
        const refused = yield* Effect.all([
          Effect.flip(Artifact.backbone(`${folder}/autoencoder`)),
          Effect.flip(Artifact.custom(`${folder}/tokenizer`, "Autoencoder", AutoencoderConfig)),
          Effect.flip(Artifact.custom(folder, "Other", AutoencoderConfig)),
          Effect.flip(Artifact.custom(folder, "Autoencoder", Schema.Struct({ seed: Schema.String })))
        ])
        assert.deepStrictEqual(refused.map(({ reason }) => reason._tag), [
          "OtherKind",
          "OtherKind",
          "NotInRun",
          "ConfigError"
        ])
      }))

    it.effect("names what differs where the run holds another one", () =>
      Effect.gen(function*() {
        const other = new AutoencoderConfig({ ...config, narrow: 4 })
        const error = yield* Effect.flip(Effect.andThen(program(), program({}, other)))
        assert(error._tag === "OtherStage")
        assert.deepStrictEqual(error.differences, [{ key: "narrow", stored: "6", asked: "4" }])
        assert.isTrue(Option.isSome(yield* (yield* Runs.Runs).weights("autoencoder")))
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("goes on with half the rate after a loss that is not finite, and ends with the same bytes when killed", () =>
      Effect.gen(function*() {
        const { broken, unbroken } = yield* folders
        const wild = new AutoencoderConfig({
          ...config,
          optimizer: optimizer({ duration: 10, warmup: 8, lr: 3e6, weightDecay: 0 })
        })
        const tokenizer = yield* trainTokenizer(micro({ duration: 3, warmup: 1 }).tokenizer).pipe(inFolder(broken))
        const whole = steadily(wild, tokenizer, set("train", 24))
        yield* inFolder(unbroken)(whole)
        for (
          const trap of [{ point: "in saveBatch", call: 1 }, { point: "before log", call: 5 }, {
            point: "in run",
            call: 6
          }]
        ) {
          assert.isTrue(yield* inFolder(broken)(interruptedAt(trap, whole)), trap.point)
        }
        yield* inFolder(broken)(whole)
        const opened = (folder: string) => Artifact.custom(folder, "Autoencoder", AutoencoderConfig)
        const { config: used, provenance: said, tensors } = yield* opened(broken)
        const other = yield* opened(unbroken)
        assert.strictEqual(used.optimizer.lr, 3e6 / 4)
        assert.include(said.continuedFrom, { stage: "autoencoder-1", state: "checkpoint", schedule: "on" })
        assert.deepStrictEqual(said, other.provenance)
        assert.deepStrictEqual(Safetensors.encode(tensors), Safetensors.encode(other.tensors))
        const [one, two] = [broken, unbroken].map((folder) =>
          readFileSync(`${folder}/log.jsonl`, "utf8").split("\n").filter((row) => row.includes("autoencoder-2"))
        )
        assert.deepStrictEqual(one, two)
        const found = yield* inspect(broken)
        assert(found._tag === "Run")
        const stages = found.stages.filter(({ stage }) => stage !== "tokenizer")
        assert.deepStrictEqual(stages.map(({ continuedFrom, finished }) => [finished, continuedFrom?.stage]), [
          [false, undefined],
          [false, "autoencoder"],
          [true, "autoencoder-1"]
        ])
      }))
  })
})
