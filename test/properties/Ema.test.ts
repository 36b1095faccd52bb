import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Laws from "../../src/laws/index.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { holds } from "../laws/kit.ts"
import * as Eager from "../parity/eager.ts"
import * as Vectors from "./vectors.ts"

type State = MovingAverage.QuantizerState<number, number>

const decays = fc.double({ min: 0.5, max: 0.995, noNaN: true })

const beginning = ({ codebook, seed }: Vectors.Problem): HostOf<State> => {
  const { uniform } = KeyedRandom.generator({ seed, purpose: "usage", epoch: 0, index: 0 })
  const [size] = codebook.shape
  return {
    embedding: { weight: codebook },
    cluster_size: HostTensor.make([size], "float32", Float32Array.from({ length: size }, () => 4 * uniform()))
  }
}

const followed = (
  state: HostOf<State>,
  vectors: Vectors.Matrix,
  options: MovingAverage.UpdateOptions,
  rows: ArrayLike<number> = []
) =>
  Eager.eagerly(
    { state, vectors, rows: HostTensor.make([rows.length], "int32", Int32Array.from(rows)) },
    (given: {
      readonly state: State
      readonly vectors: Tensor<[number, number]>
      readonly rows: Tensor<[number], "int32">
    }) => {
      const { codes, z } = MovingAverage.quantize(given.state.embedding.weight, given.vectors)
      return {
        codes,
        z,
        ...MovingAverage.updateCodebook(
          given.state,
          { codes, z },
          options,
          options.revival === null ? undefined : given.rows
        )
      }
    }
  )

holds(
  "the moving average of directions",
  Laws.movingAverage((state, batch, decay) => {
    const { state: next } = MovingAverage.updateCodebook(
      { embedding: { weight: state.codebook }, cluster_size: state.uses },
      batch,
      { decay, revival: null }
    )
    return { codebook: next.embedding.weight, uses: next.cluster_size }
  })
)

describe("the codebook's update", () => {
  it("counts the vectors of each code", () => {
    fc.assert(fc.property(Vectors.problem, decays, (problem, decay) => {
      const { codes, counts } = followed(beginning(problem), problem.vectors, { decay, revival: null })
      const expected = Array.from(counts.data, (_, at) => codes.data.filter((code) => code === at).length)
      assert.deepStrictEqual([...counts.data], expected)
    }))
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
        const begun = MovingAverage.freshCount({ decay, threshold, vectors: count, size })
        assert.closeTo(begun * decay ** MovingAverage.PATIENCE, least, 1e-9)
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
