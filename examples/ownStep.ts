/** A training step of one's own, run on an engine, stopped and resumed: `npm run example examples/ownStep.ts`. */
import { Console, Effect } from "effect"
import { Engine } from "patchword/layers"
import { AdamW, Parameter } from "patchword/nn"
import { Elementwise, Gradient, HostTensor, Linear, Reduction, type Step, type Tensor } from "patchword/shapes"

/** A linear layer from 3 numbers to 2. */
type Params = Linear.LinearParams<3, 2>

interface Batch {
  readonly x: Tensor.Tensor<[8, 3]>
  readonly y: Tensor.Tensor<[8, 2]>
  readonly hyper: AdamW.Hyper
}

interface Metrics {
  readonly loss: Tensor.Tensor<[]>
  readonly gradientNorm: Tensor.Tensor<[]>
}

const spec: Parameter.ParametersOf<Params> = {
  weight: Parameter.normal([2, 3], Parameter.finetuning),
  bias: Parameter.zeros([2])
}

const adamw = {
  betas: [0.9, 0.999],
  weightDecay: 0,
  clipNorm: 1,
  decays: (_: string, rank: number) => rank > 1
} as const

/** Regression by the mean squared error. */
export const step: Step.TrainStep<AdamW.State<Params>, Batch, Metrics> = {
  name: "regression",
  state: AdamW.stateSpec(spec),
  batch: {
    x: { shape: [8, 3], dtype: "float32" },
    y: { shape: [8, 2], dtype: "float32" },
    hyper: AdamW.hyperSpec()
  },
  run: (state, { hyper, x, y }) => {
    const { gradients, loss } = Gradient.valueAndGradient((params: Params) => ({
      loss: Reduction.mean(Elementwise.square(Elementwise.sub(Linear.linear(x, params), y))),
      aux: {}
    }), state.parameters)
    const { norm, state: next } = AdamW.update(state, gradients, hyper, adamw, loss)
    return { metrics: { loss, gradientNorm: norm }, state: next }
  }
}

/** The batch of a step: `y` is a fixed linear function of `x`. */
const batchOf = (number: number): Step.HostOf<Batch> => {
  const x = Float32Array.from({ length: 24 }, (_, i) => Math.sin(24 * number + i))
  const y = Float32Array.from({ length: 16 }, (_, i) => x[3 * (i >> 1)]! - (i % 2) * x[3 * (i >> 1) + 2]!)
  return {
    x: HostTensor.make([8, 3], "float32", x),
    y: HostTensor.make([8, 2], "float32", y),
    hyper: AdamW.hyper(number, 0.05, { betas: adamw.betas, eps: 1e-8 })
  }
}

/** Takes steps from a state on, and gives the last loss and the state after it. */
export const train = Effect.fn("train")(
  function*({ state, steps }: Engine.Snapshot<AdamW.State<Params>>, until: number) {
    const engine = yield* Engine.Engine
    const handle = yield* engine.train(step, state, steps)
    let loss = NaN
    for (let number = steps; number < until; number++) {
      loss = HostTensor.item((yield* handle.run(batchOf(number))).loss)
    }
    return { loss, ...(yield* handle.snapshot) }
  },
  Effect.scoped
)

/** The state before the first step. */
export const start = (seed: number): Engine.Snapshot<AdamW.State<Params>> => ({
  state: AdamW.initial(Parameter.initialise(spec, seed), spec),
  steps: 0
})

/** Stops after 50 of 100 steps, and goes on from what it kept. */
export const program = Effect.gen(function*() {
  const half = yield* train(start(0), 50)
  const whole = yield* train(half, 100)
  yield* Console.log(`loss after 50 steps ${half.loss.toExponential(1)}, after 100 ${whole.loss.toExponential(1)}`)
  return { half, whole }
}).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 })))

if (import.meta.main) await Effect.runPromise(program)
