import { Effect, Layer } from "effect"
import * as Files from "../../src/layers/files/Files.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { images, micro, teacher } from "../pipelines/kit.ts"

const STEPS = 4
const preset = micro({ duration: STEPS, warmup: 1 })
const data = Layer.provideMerge(teacher, images)

const stages = Effect.gen(function*() {
  const tokenizer = yield* trainTokenizer(preset.tokenizer)
  const backbone = yield* pretrain(preset.pretrain, tokenizer)
  const classifier = yield* finetune(preset.finetune, backbone)
  return { ...tokenizer.tensors, ...backbone.tensors, ...classifier.tensors }
})

const whole = Effect.gen(function*() {
  const tensors = yield* stages
  const rows = yield* (yield* Runs.Runs).readLog
  return Files.sha256(`${digestOf(tensors)} ${JSON.stringify(rows)}`)
})

const stopping = (name: string, at: number) =>
  Layer.succeed(Progress, {
    report: ({ stage, step }) => (stage === name && step === at ? Effect.interrupt : Effect.void),
    message: () => Effect.void
  })

const inRun = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.provide(self, Layer.fresh(Layer.merge(Runs.layerMemory(), data)))

export const digests = Effect.gen(function*() {
  const once = yield* inRun(whole)
  const again = yield* inRun(whole)
  const places = ["tokenizer", "pretrain", "finetune"].flatMap((stage) =>
    Array.from({ length: STEPS - 1 }, (_, at) => [stage, at + 1] as const)
  )
  const resumed = yield* Effect.forEach(
    places,
    ([stage, at]) => inRun(Effect.andThen(Effect.exit(Effect.provide(stages, stopping(stage, at))), whole))
  )
  return { once, again, resumed }
})

export type Digests = Effect.Success<typeof digests>
