import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option } from "effect"
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { interruptedAt } from "../../src/laws/Interruption.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { inspect } from "../../src/pipelines/artifacts/Inspect.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Continuation from "../../src/pipelines/training/Continuation.ts"
import type { StageOptions } from "../../src/pipelines/training/Stage.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { machine, micro } from "./kit.ts"

const STEPS = 8

const plain = micro({ duration: STEPS })

const hot = micro({ duration: 12, lr: 1e-3 })

const accumulating = micro({ duration: 3, batchSize: 4, accumulate: 3 })

const fresh = Effect.provide(Runs.layerMemory({ keep: 20 }), { local: true })

const inFolder = (folder: string) => Effect.provide(Runs.layer(folder, { config: {}, keep: 20 }), { local: true })

const folders = Effect.gen(function*() {
  const { makeTempDirectoryScoped } = yield* FileSystem.FileSystem
  return yield* Effect.all([makeTempDirectoryScoped(), makeTempDirectoryScoped(), makeTempDirectoryScoped()])
})

const stages = {
  tokenizer: Effect.fnUntraced(function*(preset: typeof plain, options: StageOptions) {
    return digestOf((yield* trainTokenizer(preset.tokenizer, options)).tensors)
  }),
  pretrain: Effect.fnUntraced(function*(preset: typeof plain, options: StageOptions) {
    const tokenizer = yield* trainTokenizer(plain.tokenizer, { stage: "words" })
    return digestOf((yield* pretrain(preset.pretrain, tokenizer, options)).tensors)
  }),
  finetune: Effect.fnUntraced(function*(preset: typeof plain, options: StageOptions) {
    return digestOf((yield* finetune(preset.finetune, undefined, options)).tensors)
  })
}

const lastOf = (folder: string) => `${folder}/stages/tokenizer.safetensors`

describe("a stage that goes on from another", () => {
  layer(Layer.merge(machine, NodeServices.layer))((it) => {
    it.effect.each(
      [
        ["tokenizer", plain, 4],
        ["pretrain", plain, 2],
        ["finetune", plain, 6],
        ["tokenizer", accumulating, 4],
        ["finetune", accumulating, 5]
      ] as const
    )(
      "is, with the configuration of the %s, the one that never stopped",
      ([stage, preset, step]) =>
        Effect.gen(function*() {
          const [one, other] = yield* folders
          const train = stages[stage]
          const unbroken = yield* inFolder(one)(train(preset, { checkpointEvery: 1 }))
          const continueFrom = yield* Continuation.open(one, { stage, step })
          const { log, trained } = yield* inFolder(other)(Effect.gen(function*() {
            const trained = yield* train(preset, { continueFrom })
            return { trained, log: yield* (yield* Runs.Runs).readLog }
          }))
          assert.strictEqual(trained, unbroken)
          const rows = readFileSync(`${one}/log.jsonl`, "utf8").trim().split("\n").map((line) => JSON.parse(line))
          assert.deepStrictEqual(
            log.filter((row) => row.stage === stage),
            rows.filter((row) => row.stage === stage && row.step > step)
          )
        })
    )

    it.effect("says where it comes from, and is resumed to the same bytes", () =>
      Effect.gen(function*() {
        const [one, unbroken, broken] = yield* folders
        yield* inFolder(one)(trainTokenizer(plain.tokenizer, { checkpointEvery: 3 }))
        const from = { stage: "tokenizer", step: "newest", schedule: "on" } as const
        const train = Effect.flatMap(
          Continuation.open(one, from),
          (continueFrom) => trainTokenizer(hot.tokenizer, { continueFrom, checkpointEvery: 2 })
        )
        yield* inFolder(unbroken)(train)
        for (
          const trap of [{ point: "in run", call: 1 }, { point: "before log", call: 2 }, { point: "in save", call: 1 }]
        ) {
          assert.isTrue(yield* inFolder(broken)(interruptedAt(trap, train)), trap.point)
        }
        yield* inFolder(broken)(train)
        for (const name of ["log.jsonl", "stages/tokenizer.json", "stages/tokenizer.safetensors"]) {
          assert.isTrue(readFileSync(`${broken}/${name}`).equals(readFileSync(`${unbroken}/${name}`)), name)
        }
        const found = yield* inspect(lastOf(broken))
        assert(found._tag === "Weights")
        const { digest, ...said } = found.provenance!.continuedFrom!
        assert.deepStrictEqual(said, {
          run: basename(one),
          stage: "tokenizer",
          step: 6,
          state: "checkpoint",
          schedule: "on"
        })
        assert.match(digest, /^[0-9a-f]{64}$/)
        assert.strictEqual(found.provenance!.step, 12)
        assert.deepStrictEqual(found.provenance!.computedOn!.map((part) => part.from), [1])
      }))

    it.effect("counts from 0 where the schedule begins anew, with the moments of before or without", () =>
      Effect.gen(function*() {
        const [one] = yield* folders
        yield* inFolder(one)(trainTokenizer(plain.tokenizer, { checkpointEvery: 3 }))
        const log = Effect.fnUntraced(function*(step: number | "finished") {
          const continueFrom = yield* Continuation.open(one, { stage: "tokenizer", step, schedule: "anew" })
          assert.strictEqual(continueFrom.updates, step === "finished" ? 0 : 6)
          yield* trainTokenizer(plain.tokenizer, { continueFrom, checkpointEvery: 3 })
          const again = yield* Continuation.here({ stage: "tokenizer", step: 3 })
          assert.strictEqual(again.updates, continueFrom.updates + 3)
          return (yield* (yield* Runs.Runs).readLog).map(({ loss, step }) => ({ loss: Number(loss), step }))
        }, fresh)
        const first = JSON.parse(readFileSync(`${one}/log.jsonl`, "utf8").split("\n")[0]!).loss
        for (const rows of [yield* log(6), yield* log("finished")]) {
          assert.deepStrictEqual(rows.map(({ step }) => step), Array.from({ length: STEPS }, (_, i) => i + 1))
          assert.isBelow(rows[0]!.loss, first)
        }
      }))

    it.effect("refuses what does not fit, and says why", () =>
      Effect.gen(function*() {
        const [one] = yield* folders
        yield* inFolder(one)(trainTokenizer(plain.tokenizer, { checkpointEvery: 3 }))
        const opened = Continuation.open(one, { stage: "tokenizer" })
        const continued = (preset: typeof plain) =>
          Effect.flatMap(opened, (continueFrom) => trainTokenizer(preset.tokenizer, { continueFrom })).pipe(fresh)
        const codebook = { ...plain.tokenizer.codebook, size: 8 }
        const smaller = new TokenizerConfig({ ...plain.tokenizer, codebook })
        const sizes = yield* Effect.flip(continued({ ...plain, tokenizer: smaller }))
        assert(sizes._tag === "OtherNetwork")
        assert.match(
          sizes.message,
          /^step 6 of tokenizer in \S+ is of another network: codebook\.size is 16 there, 8 here; /
        )
        const taught = sizes.reason.misshaped.map(({ name }) => name)
        assert.include(taught, "quantize.embedding.weight")
        const later = yield* Continuation.open(one, { stage: "tokenizer", step: "finished", schedule: "anew" })
        const whole = yield* Effect.flip(fresh(trainTokenizer(smaller, { continueFrom: later })))
        assert.match(
          whole.message,
          /^step 8 of tokenizer in \S+ is of another network: codebook\.size is 16 there, 8 here; /
        )
        const short = yield* Effect.flip(continued(micro({ duration: 6 })))
        assert(short._tag === "ConfigError")
        assert.match(short.message, /optimizer\.duration: expected more than the 6 steps that were taken before, got 6/)
        const messages = yield* Effect.forEach(
          [
            { stage: "tokenizer", step: 5 },
            { stage: "tokenizer", step: -1 },
            { stage: "tokenizer", step: 1.5 },
            { stage: "pretrain" },
            { stage: "pretrain", step: "finished" }
          ] as const,
          (from) =>
            Effect.map(Effect.flip(Continuation.open(one, from)), (error) => {
              assert.strictEqual(error._tag, "NothingToContinue")
              return error.message.replace(one, "RUN")
            })
        )
        const held = "choose from checkpoints of the steps 3, 6, and the weights of the finished stage (finished)"
        assert.deepStrictEqual(messages, [
          `RUN has no checkpoint of step 5 of tokenizer; ${held}`,
          `RUN has no checkpoint of step -1 of tokenizer; ${held}`,
          `RUN has no checkpoint of step 1.5 of tokenizer; ${held}`,
          "RUN has no checkpoint of pretrain; choose from the stages tokenizer",
          "RUN has no weights of pretrain; choose from the stages tokenizer"
        ])
        const wrong = [
          [{ step: "last" }, /step: expected newest, previous or finished, got "last"/],
          [{ schedule: "of" }, /schedule: expected on or anew, got "of"/]
        ] as const
        for (const [asked, said] of wrong) {
          const refused = yield* Effect.flip(Continuation.open(one, { stage: "tokenizer", ...asked as object }))
          assert.strictEqual(refused._tag, "ConfigError")
          assert.match(refused.message, said)
        }
        const noRun = yield* Effect.flip(Continuation.open(`${one}/none`, { stage: "tokenizer" }))
        assert.match(noRun.message, /^the run \S+none does not exist; /)
        const noFolder = yield* Effect.flip(Continuation.open(`${one}/stages`, { stage: "tokenizer" }))
        assert.match(noFolder.message, /^the run \S+stages is not a run folder, because it has no config.json; /)
        const outside = yield* Effect.flip(Continuation.open(one, { stage: "../stages" }))
        assert(outside._tag === "CheckpointsError" && outside.reason._tag === "StageNameInvalid")
        const refused = yield* Effect.gen(function*() {
          yield* trainTokenizer(hot.tokenizer, { continueFrom: yield* opened })
          assert.isTrue(Option.isSome(yield* (yield* Runs.Runs).weights("tokenizer")))
          return yield* Effect.flip(trainTokenizer(hot.tokenizer))
        }).pipe(fresh)
        assert(refused._tag === "OtherStage")
        assert.include(refused.message, "continuedFrom")
        const both = yield* Effect.flip(fresh(Effect.gen(function*() {
          const tokenizer = yield* trainTokenizer(plain.tokenizer)
          const backbone = yield* pretrain(plain.pretrain, tokenizer)
          return yield* finetune(plain.finetune, backbone, { continueFrom: yield* opened })
        })))
        assert(both._tag === "ConfigError")
      }))
  })
})

describe("a stage", () => {
  layer(Layer.merge(machine, NodeServices.layer))((it) => {
    it.effect.each(["", ".", "..", "../outside", "a/b", "a\\b", "-x", "a b"])(
      "is not named %j",
      (stage) =>
        Effect.gen(function*() {
          const refused = yield* Effect.flip(trainTokenizer(plain.tokenizer, { stage }))
          assert(refused._tag === "RunsError" && refused.reason._tag === "StageNameInvalid")
          assert.match(refused.message, /^a stage cannot be named ".*"; choose a name of letters, digits/)
        }).pipe(fresh)
    )

    it.effect.each([0, -1, 1.5, NaN])(
      "keeps no checkpoint every %d steps",
      (checkpointEvery) =>
        Effect.gen(function*() {
          const refused = yield* Effect.flip(trainTokenizer(plain.tokenizer, { checkpointEvery }))
          assert(refused._tag === "ConfigError")
          assert.match(refused.message, /checkpointEvery: expected a whole number of steps from 1/)
        }).pipe(fresh)
    )
  })
})
