/** Readers of networks: model folders of the Hub, ONNX models, ONNX teachers. */
import { Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Teacher from "../../../src/layers/teacher/Teacher.ts"
import * as TeacherConfig from "../../../src/layers/teacher/TeacherConfig.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as Parameter from "../../../src/nn/blocks/Parameter.ts"
import * as Artifact from "../../../src/pipelines/artifacts/Artifact.ts"
import * as ModelFolder from "../../../src/pipelines/artifacts/ModelFolder.ts"
import * as Backbone from "../../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../../src/pipelines/trained/Classifier.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { micro } from "../../pipelines/kit.ts"
import type { Reader } from "../Case.ts"
import * as Mutation from "../Mutation.ts"
import * as Seeds from "./seeds.ts"
import { inspected } from "./weights.ts"

const preset = micro()

const provenance = new Weights.Provenance({ stage: "finetune", configDigest: "c", dataDigest: "d", step: 7, seed: 3 })

export const model: Reader = {
  name: "model",
  tests: 25,
  seeds: () =>
    Promise.all([
      Seeds.written((folder) =>
        ModelFolder.write(`${folder}/m`, {
          _tag: "Classifier",
          config: preset.finetune,
          classes: ["cat", "dog", "cow"],
          tensors: Weights.flatten(Parameter.initialise(Classifier.spec(preset.finetune, 3), 3))
        }, { name: "Shapes", provenance })
      ),
      Seeds.written((folder) =>
        ModelFolder.write(`${folder}/m`, { _tag: "Backbone", ...Backbone.untrained(preset.pretrain, 16) }, {
          name: "Shapes"
        })
      )
    ]),
  make: (draw, seeds) => {
    const files = draw.of(seeds)
    const name = draw.of(["m/config.json", "m/config.json", "m/preprocessor_config.json"])
    const text = Seeds.textOf(files[name])!
    const foreign = draw.chance(0.5) ? JSON.stringify({ ...JSON.parse(text), patchword: undefined }) : text
    return { ...files, [name]: Mutation.json(draw, foreign) }
  },
  read: (folder) =>
    Effect.gen(function*() {
      const place = `${folder}/m`
      const inspection = yield* Effect.result(inspected(place))
      yield* Effect.ignore(TeacherConfig.beside("clip", `${place}/model.safetensors`))
      yield* Effect.ignore(TeacherConfig.beside("dino", `${place}/model.safetensors`))
      yield* Artifact.open(place)
      return inspection._tag === "Success" ? { text: inspection.success } : yield* Effect.fail(inspection.failure)
    })
}

const place = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../layers/teacher/fixtures/${name}`, import.meta.url)))

const MODEL = "model.onnx"

export const onnx: Reader = {
  name: "onnx",
  tests: 120,
  seeds: async () =>
    ["bytes", "doubles", "halves", "outer", "outer_shape", "outer_within"].map((name) => ({
      [MODEL]: place(`${name}.onnx`)
    })),
  make: (draw, seeds) => ({ [MODEL]: Mutation.bytes(draw, Seeds.bytesOf(draw.of(seeds)[MODEL])!) }),
  read: (folder) => Effect.map(inspected(`${folder}/${MODEL}`), (text) => ({ text }))
}

const images = HostTensor.make([1, 3, 4, 4], "float32", Float32Array.from({ length: 48 }, (_, i) => i))

/** A model that native code loads and runs. */
export const teacher: Reader = {
  name: "teacher",
  tests: 4,
  seeds: async () =>
    ["doubles", "halves", "outer"].map((name) => ({
      [MODEL]: place(`${name}.onnx`),
      "outer.onnx.data": place("outer.onnx.data")
    })),
  make: (draw, seeds) => ({ ...seeds[2], [MODEL]: Mutation.bytes(draw, Seeds.bytesOf(draw.of(seeds)[MODEL])!) }),
  read: (folder) =>
    Teacher.Teacher.use((teacher) => Effect.as(teacher.features(images), {})).pipe(
      Effect.provide(
        Teacher.layerOnnx(`${folder}/${MODEL}`, { imageSize: 4 }).pipe(Layer.provide(Engine.layerOnnx({ threads: 1 }))),
        { local: true }
      )
    )
}
