import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import * as Model from "../../src/domain/config/Model.ts"
import * as ImageNetSubset from "../../src/domain/evaluation/ImageNetSubset.ts"
import * as Metrics from "../../src/domain/evaluation/Metrics.ts"
import * as RobustnessReport from "../../src/domain/evaluation/RobustnessReport.ts"
import * as Images from "../../src/layers/images/Images.ts"
import { Progress, silent } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import { classify } from "../../src/pipelines/evaluate/Classify.ts"
import { robustness } from "../../src/pipelines/evaluate/Robustness.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import * as Trained from "../../src/pipelines/trained/Classifier.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { engine, micro, set } from "./kit.ts"

const { finetune: config } = micro({ duration: 1, warmup: 0 })

const part = "imagenet-a"
const ascending = Array.from({ length: 1000 }, (_, i) => `n${String(10_000_000 + 7 * i)}`)
const inside = Array.from(ImageNetSubset.classes(part), (number) => ascending[number]!)
const tensors = Object.fromEntries(
  Object.entries(Weights.flatten(Parameter.initialise(Trained.spec(config, 1000), 3))).map((
    [name, { data, shape }]
  ) => [
    name,
    HostTensor.make(shape, "float32", Float32Array.from(data, (value, i) => Number(value) * 5 + Math.sin(i) / 20))
  ])
)

const order = ascending.map((_, i) => (i * 389 + 11) % 1000)
const shuffled = order.map((number) => ascending[number]!)
const reordered = Object.fromEntries(
  Object.entries(tensors).map(([name, tensor]) => {
    if (!name.startsWith("head.")) return [name, tensor]
    const width = tensor.data.length / 1000
    return [
      name,
      HostTensor.make(
        tensor.shape,
        "float32",
        Float32Array.from(tensor.data, (_, i) => tensor.data[order[Math.floor(i / width)]! * width + i % width]!)
      )
    ]
  })
)

const named = (numbers: ReadonlyArray<string>) => numbers.map((number) => `thing ${number.slice(1)}`)

const shown = set(part, 24)

const test = Effect.gen(function*() {
  const [logits] = yield* classify({ config, classes: ascending, tensors }, [shown])
  const columns = Metrics.columns(logits!, 1000, ImageNetSubset.classes(part))
  const labels = Int32Array.from(Metrics.predictions(columns, 200))
  return { name: part, subset: part, load: Effect.succeed({ ...shown, classes: inside, labels }) } as const
})

const measured = Effect.fnUntraced(function*(classifier: Trained.Classifier, given?: typeof test) {
  const said: Array<string> = []
  const hear = { ...silent, message: (text: string) => Effect.sync(() => void said.push(text)) }
  const options = { network: "finetune", train: "", folder: Option.none() }
  const [tested] = yield* robustness(classifier, [yield* given ?? test], options).pipe(
    Effect.provideService(Progress, hear)
  )
  const { matching, result: { classes, settings, top1 } } = tested!
  return { matching, classes, settings, top1, said }
})

describe("the classes of robustness", () => {
  layer(Layer.merge(NodeServices.layer, engine))((it) => {
    it.effect("are matched by WordNet numbers, in whatever order the classifier has them", () =>
      Effect.gen(function*() {
        for (
          const classifier of [
            { config, tensors, classes: ascending },
            { config, tensors: reordered, classes: shuffled },
            { config, tensors: reordered, classes: named(shuffled), synsets: shuffled }
          ]
        ) {
          const found = yield* measured(classifier)
          assert.deepInclude(found, { matching: "numbers", classes: 200, top1: 1, said: [] })
          assert.deepInclude(found.settings, { matching: "numbers" })
        }
      }))

    it.effect("are matched by order alone where the classifier keeps no numbers, and this is said", () =>
      Effect.gen(function*() {
        const right = yield* measured({ config, tensors, classes: named(ascending) })
        assert.deepInclude(right, { matching: "order", classes: 200, top1: 1 })
        assert.deepInclude(right.settings, { matching: "order" })
        assert.match(right.said.join(), /^imagenet-a: the classifier keeps no WordNet numbers of its classes/)
        const wrong = yield* measured({ config, tensors: reordered, classes: named(shuffled) })
        assert.isBelow(wrong.top1, 1)
        assert.lengthOf(wrong.said, 1)
        const report = RobustnessReport.make({
          network: "finetune",
          measure: "top-1",
          sets: [],
          corruptions: [],
          byOrder: [part]
        })
        assert.match(RobustnessReport.warning(report) ?? "", /On imagenet-a they are taken to be in the order/)
        assert.isUndefined(RobustnessReport.warning({ ...report, byOrder: undefined! }))
      }))

    it.effect("of a subset are refused where a number is none of its 200", () =>
      Effect.gen(function*() {
        const stranger = ascending.find((number) => !inside.includes(number))!
        const other = Effect.map(test, (one) => ({
          ...one,
          load: Effect.succeed({
            ...shown,
            classes: [inside[0]!, stranger],
            labels: shown.labels.map((label) => label % 2)
          })
        })) as unknown as typeof test
        const error = yield* Effect.flip(measured({ config, tensors, classes: ascending }, other))
        assert.match(String(error), /imagenet-a/)
        assert.include(String(error), `Not in imagenet-a: 1 ("${stranger}")`)
      }))

    it.effect("keep their WordNet numbers in a trained classifier, and old ones have none", () =>
      Effect.gen(function*() {
        const synsets = ascending.slice(0, 3).toReversed()
        const images = Images.layerMemory([{ ...set("train", 24), synsets }])
        const trained = yield* finetune(config, undefined).pipe(
          Effect.andThen((found) =>
            Effect.map(
              Effect.flatMap(Runs.Runs, ({ weights }) => weights("finetune")),
              (kept) => [found.synsets, Option.flatMap(kept, ({ provenance }) => provenance)] as const
            )
          ),
          Effect.provide(Layer.merge(Runs.layerMemory(), images), { local: true })
        )
        assert.deepStrictEqual(trained[0], synsets)
        const model = Option.getOrThrow(trained[1]).model!
        assert.deepInclude(model, { _tag: "Classifier", synsets })
        const { synsets: _, ...old } = Schema.encodeSync(Model.Model)(model) as Record<string, unknown>
        assert.notProperty(Schema.decodeUnknownSync(Model.Model)(old), "synsets")
      }))
  })
})
