/** Laws of networks. */
import { isDeepStrictEqual } from "node:util"
import * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { HostOf, Inference } from "../shapes/Step.ts"
import * as Tensor from "../shapes/Tensor.ts"
import * as Tree from "../shapes/Tree.ts"
import * as Claim from "./Claim.ts"
import * as Eager from "./Eager.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"

/** Options for the laws of a network. */
export interface NetworkOptions {
  /** The largest difference between batches, relative to 1 plus the number's magnitude. 1e-4 by default. */
  readonly within?: number
}

type Host = HostTensor.HostTensor<ReadonlyArray<number>, "float32">

// Small values keep the third derivatives small that finite differences are wrong by.
const DEVIATION = 0.3

const drawn = (spec: object, seed: number, purpose: string): object =>
  Tree.map<object>(spec, ({ shape }, path) => {
    const { normal } = KeyedRandom.generator({ seed, purpose: `${purpose} ${path}`, epoch: 0, index: 0 })
    const data = Float32Array.from({ length: HostTensor.size(shape) }, () => DEVIATION * normal())
    return HostTensor.make(shape, "float32", data)
  })

const zip = (a: object, b: object, combine: (x: number, y: number) => number): object => {
  const other = new Map(Tree.leaves<Host>(b))
  return Tree.map<object>(a, (leaf, path) => {
    const { data, shape } = leaf as Host
    return HostTensor.make(shape, "float32", data.map((x, at) => combine(x, other.get(path)!.data[at]!)))
  })
}

const dot = (a: object, b: object): number => {
  const other = new Map(Tree.leaves<Host>(b))
  return Tree.leaves<Host>(a).reduce(
    (sum, [path, { data }]) => data.reduce((sum, x, at) => sum + x * other.get(path)!.data[at]!, sum),
    0
  )
}

const unit = (tree: object): object => {
  const length = Math.sqrt(dot(tree, tree))
  return zip(tree, tree, (x) => x / length)
}

/** Returns one sample of a batch as a batch of one. */
const sample = (batch: object, at: number): object =>
  Tree.map<object>(batch, (leaf) => {
    const { data, shape: [count, ...rest] } = leaf as Host
    const each = data.length / count!
    return HostTensor.make([1, ...rest], "float32", data.slice(at * each, (at + 1) * each))
  })

/**
 * Returns the laws of a network whose weights and inputs are real numbers. The first axis of every input and output is the
 * batch. `of` makes the network for a batch size. The network must be smooth, because finite differences are wrong at kinks.
 */
export const network = <W extends object, B extends object, O extends object>(
  of: (batch: number) => Inference<W, B, O>,
  options: NetworkOptions = {}
): ReadonlyArray<Law> => {
  const asked = fc.record({ batch: fc.integer({ min: 2, max: 4 }), seed: fc.nat() })
  const some = { numRuns: 10 }
  const given = ({ batch, seed }: { readonly batch: number; readonly seed: number }) => {
    const { batch: inputs, weights } = of(batch)
    return { weights: drawn(weights as object, seed, "weights"), batch: drawn(inputs as object, seed, "batch") }
  }
  const outputs = (count: number, weights: object, batch: object): ReadonlyArray<readonly [string, Host]> =>
    Tree.leaves<Host>(
      Eager.run<{ readonly weights: W; readonly batch: B }, O>(
        { weights, batch } as HostOf<{ readonly weights: W; readonly batch: B }>,
        (all) => of(count).run(all.weights, all.batch)
      )
    )
  const named = (name: string) => name === "" ? "the output" : `the output ${name}`

  return [
    make("gives every sample outputs of the same shape at any batch size", asked, (asked) => {
      const { batch, weights } = given(asked)
      const alone = new Map(outputs(1, weights, sample(batch, 0)))
      for (const [name, { data, shape }] of outputs(asked.batch, weights, batch)) {
        Claim.same(shape, [asked.batch, ...alone.get(name)!.shape.slice(1)], `the shape of ${named(name)}`)
        const strange = data.find((x) => !Number.isFinite(x))
        Claim.holds(strange === undefined, () => `${named(name)} holds ${strange}`)
      }
    }, some),

    make("gives a sample the same outputs in any batch", asked, (asked) => {
      const { batch, weights } = given(asked)
      const together = outputs(asked.batch, weights, batch)
      for (let at = 0; at < asked.batch; at++) {
        const alone = new Map(outputs(1, weights, sample(batch, at)))
        for (const [name, { data }] of together) {
          const each = data.length / asked.batch
          Claim.close(
            data.subarray(at * each, (at + 1) * each),
            alone.get(name)!.data,
            (expected) => (options.within ?? 1e-4) * (1 + Math.abs(expected)),
            `${named(name)} of sample ${at} among ${asked.batch}`
          )
        }
      }
    }, some),

    make("gives different samples different outputs", asked, (asked) => {
      const { batch, weights } = given(asked)
      const [first, second] = [0, 1].map((at) => outputs(1, weights, sample(batch, at)))
      const differs = first!.some(([, { data }], which) => !isDeepStrictEqual(data, second![which]![1].data))
      Claim.holds(differs, () => "two samples have the same outputs: none depends on the inputs")
    }, some),

    make("has gradients of its weights that agree with finite differences", asked, (asked) => {
      const { batch, weights } = given(asked)
      const upstream = new Map(
        Tree.leaves<Host>(unit(
          drawn(Object.fromEntries(outputs(asked.batch, weights, batch)), asked.seed, "upstream")
        ))
      )
      const { gradients } = Eager.run<{ readonly weights: W; readonly batch: B }, { readonly gradients: W }>(
        { weights, batch } as HostOf<{ readonly weights: W; readonly batch: B }>,
        (all) => {
          const { gradients } = Gradient.valueAndGradient((moved: W) => {
            const parts = Tree.leaves<Tensor.Any>(of(asked.batch).run(moved, all.batch)).map(([name, leaf]) =>
              Reduction.sum(Elementwise.mul(leaf, Tensor.constant(upstream.get(name)!)))
            )
            return { loss: parts.reduce((total, part) => Elementwise.add(total, part)), aux: {} }
          }, all.weights)
          return { gradients }
        }
      )
      const value = (weights: object) =>
        outputs(asked.batch, weights, batch).reduce(
          (sum, [name, { data }]) => data.reduce((sum, x, at) => sum + x * upstream.get(name)!.data[at]!, sum),
          0
        )
      for (const [path, { shape }] of Tree.leaves<Host>(weights)) {
        const along = unit(drawn({ [path]: { shape, dtype: "float32" } }, asked.seed, "along"))
        const direction = Tree.map<object>(
          weights,
          (leaf, name) => name === path ? Tree.leaves<Host>(along)[0]![1] : HostTensor.zeros(leaf.shape, "float32")
        )
        const central = (step: number) =>
          (value(zip(weights, direction, (x, d) => x + step * d))
            - value(zip(weights, direction, (x, d) => x - step * d))) / (2 * step)
        const expected = (4 * central(0.02) - central(0.04)) / 3
        Claim.close([dot(gradients, direction)], [expected], 2e-3 * (1 + Math.abs(expected)), `the slope along ${path}`)
      }
    }, { numRuns: 3 })
  ]
}
