import * as AdamW from "../../src/nn/optimizer/AdamW.ts"
import { square, sub } from "../../src/shapes/Elementwise.ts"
import { valueAndGradient } from "../../src/shapes/Gradient.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { linear } from "../../src/shapes/Linear.ts"
import { mean } from "../../src/shapes/Reduction.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import type { Case } from "./compared.ts"

interface Line {
  readonly weight: Tensor<[64, 32]>
  readonly bias: Tensor<[64]>
}

interface Batch {
  readonly x: Tensor<[12, 32]>
  readonly y: Tensor<[12, 64]>
  readonly hyper: AdamW.Hyper
}

interface Metrics {
  readonly loss: Tensor<[]>
  readonly norm: Tensor<[]>
}

const line = { weight: { shape: [64, 32], dtype: "float32" }, bias: { shape: [64], dtype: "float32" } } as const
const betas = [0.9, 0.99] as const
const options = { betas, weightDecay: 0.1, clipNorm: 0.01, decays: () => true, ema: 0.5 }

const waves = <const S extends ReadonlyArray<number>>(shape: S, seed: number) =>
  HostTensor.make(
    [...shape] as { -readonly [K in keyof S]: S[K] },
    "float32",
    Float32Array.from({ length: HostTensor.size(shape) }, (_, i) => Math.sin(seed + 7 * i))
  )

/** A layer so wide that its engine transposes the gradient. */
export const wide: Case<AdamW.State<Line>, Batch, Metrics> = {
  step: {
    name: "wide",
    state: AdamW.stateSpec(line, options) as never,
    batch: {
      x: { shape: [12, 32], dtype: "float32", split: "rows" },
      y: { shape: [12, 64], dtype: "float32", split: "rows" },
      hyper: AdamW.hyperSpec(options)
    },
    run: (state, { hyper, x, y }) => {
      const { gradients, loss } = valueAndGradient(
        (p: Line) => ({ loss: mean(square(sub(linear(x, p), y))), aux: {} }),
        state.parameters
      )
      const { norm, state: next } = AdamW.update(state, gradients, hyper, options, loss)
      return { metrics: { loss, norm }, state: next }
    }
  },
  state: (seed) => AdamW.initial({ weight: waves([64, 32], seed), bias: waves([64], seed) }, line, options) as never,
  batch: (seed, number = 0) => ({
    x: waves([12, 32], seed),
    y: waves([12, 64], 2 * seed),
    hyper: AdamW.hyper(number, 1e-2, { betas, eps: 1e-8 })
  })
}
