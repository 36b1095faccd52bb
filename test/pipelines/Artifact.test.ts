import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Runtime } from "effect"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Artifact from "../../src/pipelines/artifacts/Artifact.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { classes, machine, micro } from "./kit.ts"

const preset = micro({ duration: 2, warmup: 1 })

const trained = (run: string) =>
  Effect.gen(function*() {
    const tokenizer = yield* trainTokenizer(preset.tokenizer)
    const backbone = yield* pretrain(preset.pretrain, tokenizer)
    const classifier = yield* finetune(preset.finetune, backbone)
    yield* finetune(preset.finetune, undefined, { stage: "scratch" })
    return { tokenizer, backbone, classifier }
  }).pipe(Effect.provide(Runs.layer(run, { config: {} }), { local: true }))

describe("what stages left", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("is opened as what it is, from a run, a stage's name or a file", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const run = `${yield* fs.makeTempDirectoryScoped()}/run`
        const { backbone, classifier, tokenizer } = yield* trained(run)

        const one = yield* Artifact.tokenizer(run)
        assert.deepStrictEqual(one.config, preset.tokenizer)
        assert.strictEqual(one.teacherWidth, tokenizer.teacherWidth)
        assert.deepStrictEqual(one.tensors, tokenizer.tensors)
        assert.strictEqual(one.provenance?.teacher, "hog")
        assert.match(one.provenance?.teacherDigest ?? "", /^[0-9a-f]{64}$/)

        const two = yield* Artifact.backbone(`${run}/pretrain`)
        assert.deepStrictEqual([two.config, two.codes], [preset.pretrain, backbone.codes])
        assert.deepStrictEqual(two.tensors, backbone.tensors)

        const three = yield* Artifact.open(`${run}/stages/finetune.safetensors`)
        assert.strictEqual(three._tag, "Classifier")
        assert.deepStrictEqual(three._tag === "Classifier" ? three.classes : [], classes)
        assert.deepStrictEqual(three.tensors, classifier.tensors)

        const several = yield* Effect.flip(Artifact.classifier(run))
        assert.include(several.message, "more than one classifier; name one: RUN/finetune or RUN/scratch")
        assert.strictEqual(several[Runtime.errorExitCode], 64)
        const other = yield* Effect.flip(Artifact.tokenizer(`${run}/pretrain`))
        assert.include(other.message, "these are the weights of a backbone, not of a tokenizer")
        assert.strictEqual(other[Runtime.errorExitCode], 65)
        assert.strictEqual((yield* Effect.flip(Artifact.open(run)))[Runtime.errorExitCode], 64)
      }).pipe(Effect.provide(machine)))

    it.effect("is missed by name", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const absent = yield* Effect.flip(Artifact.open(`${folder}/none.safetensors`))
        assert.include(absent.message, `${folder}/none.safetensors: there is no such file`)
        assert.strictEqual(absent[Runtime.errorExitCode], 66)
        const empty = yield* Effect.flip(Artifact.backbone(folder))
        assert.include(empty.message, "the run holds no backbone (it holds no finished stage)")
        assert.strictEqual(empty[Runtime.errorExitCode], 66)
        const file = `${folder}/foreign.safetensors`
        yield* Weights.write(file, Weights.make({ x: HostTensor.zeros([1], "float32") }))
        const foreign = yield* Effect.flip(Artifact.open(file))
        assert.include(foreign.message, "does not say which network its weights are of")
        assert.strictEqual(foreign[Runtime.errorExitCode], 65)
      }))
  })
})
