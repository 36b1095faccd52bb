import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import * as Config from "../../src/domain/config/Config.ts"
import type { Preset } from "../../src/domain/config/Preset.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { cacheFeatures } from "../../src/pipelines/CacheFeatures.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import { knn } from "../../src/pipelines/evaluate/Knn.ts"
import { probe } from "../../src/pipelines/evaluate/Probe.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { machine, micro, sets } from "./kit.ts"

const preset = micro({ duration: 2, warmup: 1 })

const all = Effect.fnUntraced(
  function*(given: Omit<typeof Preset.Encoded, "segmentation">) {
    const tokenizer = yield* trainTokenizer(given.tokenizer)
    const backbone = yield* pretrain(given.pretrain, tokenizer)
    const classifier = yield* finetune(given.finetune, backbone)
    const [train, test] = yield* features(backbone, sets, preset.probe)
    const probed = yield* probe(given.probe, { train: train!, tests: [test!] })
    const near = yield* knn(given.knn, train!, [test!])
    return [...[tokenizer, backbone, classifier].map(({ tensors }) => digestOf(tensors)), probed.figures, near]
  },
  Effect.provide(Runs.layerMemory(), { local: true })
)

describe("a configuration that is a copy", () => {
  layer(Layer.merge(machine, NodeServices.layer))((it) => {
    it.effect("is as good as the one that it is a copy of", () =>
      Effect.gen(function*() {
        const { finetune, knn, pretrain, probe, tokenizer } = preset
        const { codebook, encoder } = tokenizer
        const copies = {
          tokenizer: { ...tokenizer, codebook: { ...codebook }, encoder },
          pretrain: { ...pretrain },
          finetune: { ...finetune },
          probe: { ...probe },
          knn: { ...knn }
        }
        assert.deepStrictEqual(yield* all(copies), yield* all(preset))
      }))

    it.effect("is refused by the name of the value that does not fit", () =>
      Effect.gen(function*() {
        const { makeTempDirectoryScoped } = yield* FileSystem.FileSystem
        const wrong = { ...preset.tokenizer, seed: 0.5 }
        const [found] = yield* Effect.gen(function*() {
          const tokenizer = yield* trainTokenizer(preset.tokenizer)
          return yield* features(tokenizer, sets, preset.probe)
        })
        const tests = [found!]
        const words = yield* trainTokenizer(preset.tokenizer)
        const errors = yield* Effect.all([
          Effect.flip(trainTokenizer(wrong)),
          Effect.flip(cacheFeatures(wrong, yield* makeTempDirectoryScoped())),
          Effect.flip(pretrain({ ...preset.pretrain, seed: 0.5 }, words)),
          Effect.flip(finetune({ ...preset.finetune, seed: 0.5 }, undefined)),
          Effect.flip(probe({ ...preset.probe, seed: 0.5 }, { train: found!, tests })),
          Effect.flip(knn({ ...preset.knn, neighbours: 0.5 }, found!, tests))
        ])
        for (const error of errors) {
          assert.instanceOf(error, Config.ConfigError)
          assert.match(error.problems.map(({ path }) => path).join(), /^(seed|neighbours(,neighbours)?)$/)
        }
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))
  })
})
