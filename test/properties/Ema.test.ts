import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Quantizer from "../../src/nn/tokenizer/Quantizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Eager from "../parity/eager.ts"
import * as Vectors from "./vectors.ts"

type State = Quantizer.QuantizerState<number, number>
type Options = Omit<Quantizer.UpdateOptions<number>, "vectors">

const decays = fc.double({ min: 0.5, max: 0.995, noNaN: true })

const beginning = ({ codebook, seed }: Vectors.Problem): HostOf<State> => {
  const { uniform } = KeyedRandom.generator({ seed, purpose: "usage", epoch: 0, index: 0 })
  const [size] = codebook.shape
  return {
    embedding: { weight: codebook },
    cluster_size: HostTensor.make([size], "float32", Float32Array.from({ length: size }, () => 4 * uniform()))
  }
}

const followed = (state: HostOf<State>, vectors: Vectors.Matrix, options: Options, rows: ArrayLike<number> = []) =>
  Eager.eagerly(
    { state, vectors, rows: HostTensor.make([rows.length], "int32", Int32Array.from(rows)) },
    (given: {
      readonly state: State
      readonly vectors: Tensor<[number, number]>
      readonly rows: Tensor<[number], "int32">
    }) => {
      const { codes, z } = Quantizer.quantize(given.state.embedding.weight, given.vectors)
      const [count] = vectors.shape
      return {
        codes,
        z,
        ...Quantizer.updateCodebook(
          given.state,
          { codes, z },
          { ...options, vectors: count },
          options.revival === null ? undefined : given.rows
        )
      }
    }
  )

const close = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>, by: number) =>
  actual.forEach((x, at) => assert.closeTo(x, expected[at]!, by))

describe("the moving average of directions", () => {
  it("stays on the unit sphere", () => {
    fc.assert(fc.property(Vectors.problem, decays, (problem, decay) => {
      const { state } = followed(beginning(problem), problem.vectors, { decay, revival: null })
      for (const code of Vectors.rows(state.embedding.weight)) assert.closeTo(Math.hypot(...code), 1, 1e-6)
    }))
  })

  it("leaves unused codes where they are and turns used ones by one share", () => {
    fc.assert(fc.property(Vectors.problem, decays, (problem, decay) => {
      const before = beginning(problem)
      const { codes, counts, state } = followed(before, problem.vectors, { decay, revival: null })
      const after = Vectors.rows(state.embedding.weight)
      Vectors.rows(problem.codebook).forEach((code, at) => {
        const own = Vectors.rows(problem.vectors).filter((_, row) => codes.data[row] === at).map(Vectors.unit)
        assert.strictEqual(counts.data[at], own.length)
        const used = decay * before.cluster_size.data[at]! + (1 - decay) * own.length
        assert.closeTo(state.cluster_size.data[at]!, used, 1e-5)
        if (own.length === 0) return close(after[at]!, code, 1e-6)
        const sum = code.map((_, channel) => own.reduce((total, vector) => total + vector[channel]!, 0))
        if (Math.hypot(...sum) < 1e-2) return
        const target = Vectors.unit(sum)
        close(after[at]!, Vectors.unit(code.map((x, channel) => decay * x + (1 - decay) * target[channel]!)), 1e-5)
      })
    }))
  })

  it("leaves unused codes where they are also where nothing of a used one stays", () => {
    const forgetful = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.5, noNaN: true }))
    fc.assert(fc.property(Vectors.problem, forgetful, (problem, decay) => {
      const { counts, state } = followed(beginning(problem), problem.vectors, { decay, revival: null })
      const [before, after] = [problem.codebook, state.embedding.weight].map(Vectors.rows)
      after!.forEach((code, at) => counts.data[at] === 0 && close(code, before![at]!, 1e-6))
    }))
  })

  it("comes to the direction of a batch that repeats as fast as the decay says", () => {
    fc.assert(
      fc.property(Vectors.problem, decays, fc.integer({ min: 1, max: 12 }), ({ seed, vectors }, decay, times) => {
        const width = vectors.shape[1]
        const codebook = Vectors.units(Vectors.matrix(seed, "code", 1, width))
        const [code] = Vectors.rows(codebook)
        const sum = code!.map((_, channel) =>
          Vectors.rows(vectors).reduce((total, vector) => total + Vectors.unit(vector)[channel]!, 0)
        )
        const target = Vectors.unit(sum)
        const cosine = Vectors.dot(code!, target)
        fc.pre(Math.hypot(...sum) > 0.1 && cosine > 0.1)
        let state = beginning({ codebook, seed, vectors })
        for (let time = 0; time < times; time++) state = followed(state, vectors, { decay, revival: null }).state
        const [last] = Vectors.rows(state.embedding.weight)
        const [start, end] = [cosine, Vectors.dot(last!, target)].map((x) => Math.acos(Math.min(x, 1)))
        assert.isAtMost(Math.tan(end!), decay ** times * Math.tan(start!) + 2e-3)
        assert.isAtLeast(Math.sin(end!), decay ** times * Math.sin(start!) - 2e-3)
      })
    )
  })

  it("revives exactly the codes that are hardly used", () => {
    fc.assert(
      fc.property(Vectors.problem, decays, fc.double({ min: 0, max: 1, noNaN: true }), (problem, decay, threshold) => {
        const { codebook, seed, vectors } = problem
        const { integer } = KeyedRandom.generator({ seed, purpose: "rows", epoch: 0, index: 0 })
        const [size, count] = [codebook.shape[0], vectors.shape[0]]
        const rows = Array.from({ length: size }, () => integer(0, count - 1))
        const before = beginning(problem)
        const plain = followed(before, vectors, { decay, revival: null })
        const revived = followed(before, vectors, { decay, revival: { threshold } }, rows)
        const least = threshold * count / size
        const begun = Quantizer.freshCount({ decay, threshold, vectors: count, size })
        assert.closeTo(begun * decay ** Quantizer.PATIENCE, least, 1e-9)
        const [kept, fresh] = [Vectors.rows(plain.state.embedding.weight), Vectors.rows(plain.z)]
        Vectors.rows(revived.state.embedding.weight).forEach((code, at) => {
          const used = plain.state.cluster_size.data[at]!
          if (Math.abs(used - least) < 1e-5) return
          const dead = used < least
          assert.deepStrictEqual(code, dead ? fresh[rows[at]!]! : kept[at]!)
          assert.strictEqual(revived.state.cluster_size.data[at], dead ? Math.fround(begun) : used)
        })
      })
    )
  })
})
