import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as MovingAverage from "../../src/nn/tokenizer/MovingAverage.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Vectors from "../properties/vectors.ts"
import * as Codes from "./codes.ts"
import { compute } from "./engine.ts"
import * as Golden from "./golden.ts"

type Values = Tensor<[number, number]>

const engines = [["onnx", Engine.layerOnnx()], ["reference", Engine.layerReference]] as const

const matrix = (width: number, data: ArrayLike<number>): Vectors.Matrix =>
  HostTensor.make([data.length / width, width], "float32", Float32Array.from(data))

const quantized = (codebook: Vectors.Matrix, vectors: Vectors.Matrix) =>
  compute({ codebook, vectors }, (given: { readonly codebook: Values; readonly vectors: Values }) => {
    const { codes, z } = MovingAverage.quantize(given.codebook, given.vectors)
    return { codes, unit: z }
  })

interface Problem {
  readonly name: string
  readonly codebook: Vectors.Matrix
  readonly vectors: Vectors.Matrix
  readonly official: ArrayLike<number>
}

const ofTokenizer = (name: string): Problem => {
  const golden = Golden.tensors(name)
  const codebook = golden("state/quantize.embedding.weight")
  const width = codebook.shape[1]!
  return {
    name,
    codebook: matrix(width, codebook.data),
    vectors: matrix(width, golden("eval/z_raw").data),
    official: golden("eval/ids").data
  }
}

const ofQuantizer = (variant: string, start: string): ReadonlyArray<Problem> => {
  const golden = Golden.tensors("quantizer")
  const z = golden("vq/z")
  const [calls, , width, ...grid] = z.shape as [number, number, number, ...Array<number>]
  const patches = HostTensor.size(grid)
  const size = z.data.length / calls
  const channelsLast = (values: ArrayLike<number>) =>
    Array.from(values, (_, at) => {
      const [row, channel] = [Math.floor(at / width), at % width]
      return values[(Math.floor(row / patches) * width + channel) * patches + (row % patches)]!
    })
  return Array.from({ length: calls }, (_, call) => ({
    name: `${variant}, call ${call}`,
    codebook: matrix(width, golden(call === 0 ? start : `${variant}/codebook_${call}`).data),
    vectors: matrix(width, channelsLast(z.data.slice(call * size, (call + 1) * size))),
    official: golden(`${variant}/ids_${call}`).data
  }))
}

const problems = [
  ofTokenizer("vqkd_clip_dec1"),
  ofTokenizer("vqkd_dino_dec3"),
  ...ofQuantizer("vq_kmeans", "vq_kmeans/codebook_after_init"),
  ...ofQuantizer("vq_random", "vq/random_start_codebook"),
  ...ofQuantizer("vq_random_decay0.9", "vq/random_start_codebook")
]

const compared = ({ codebook, official, vectors }: Problem) =>
  Effect.map(
    quantized(codebook, vectors),
    ({ codes, unit }) =>
      Codes.compare(codes.data, official, { unit: unit.data, codebook: codebook.data, width: codebook.shape[1] })
  )

describe.each(engines)("codes, %s", (_, layer) => {
  it.effect("are the official ones", (context) =>
    Effect.gen(function*() {
      for (const problem of problems) {
        const found = yield* compared(problem)
        const told = Codes.tell(problem.name, found, problem.official.length)
        yield* Effect.promise(() => context.annotate(told))
        assert.deepStrictEqual(found.wrong, [], told)
      }
    }).pipe(Effect.provide(layer)))

  it.effect("are the nearest of many, but where two are as near", (context) =>
    Effect.gen(function*() {
      const codebook = Vectors.units(Vectors.matrix(0, "codebook", 1024, 32))
      const codes = Vectors.rows(codebook)
      const halfway = Array.from({ length: 128 }, (__, at) => {
        const [one, other] = [codes[5 * at]!, codes[5 * at + 1]!]
        const nearer = 1 + 10 ** (-9 + (at % 8))
        return one.map((x, i) => x * nearer + other[i]!)
      })
      const anywhere = Vectors.rows(Vectors.matrix(0, "vectors", 896, 32))
      const vectors = matrix(32, [...halfway, ...anywhere].flat())
      const reference = Vectors.units(vectors)
      const official = Array.from(
        { length: 1024 },
        (__, row) => Codes.nearest(reference.data, codebook.data, 32, row).code
      )
      const found = yield* compared({ name: "many", codebook, vectors, official })
      const told = Codes.tell("many", found, 1024)
      yield* Effect.promise(() => context.annotate(told))
      assert.deepStrictEqual(found.wrong, [], told)
      assert.isAtLeast(found.near, 16)
      assert.isBelow(found.near, 128)
    }).pipe(Effect.provide(layer)))

  it.effect.each([[5, 3, 7], [37, 8, 1], [300, 32, 50], [2048, 32, 196]] as const)(
    "of a codebook of %i rows with duplicates are the lowest",
    ([size, width, count]) =>
      Effect.gen(function*() {
        const distinct = Vectors.rows(Vectors.units(Vectors.matrix(size, "codebook", Math.ceil(size / 2), width)))
        const codebook = matrix(width, Array.from({ length: size }, (__, at) => distinct[at % distinct.length]!).flat())
        const vectors = Vectors.matrix(size, "vectors", count, width)
        const { codes, unit } = yield* quantized(codebook, vectors)
        const halved = yield* quantized(matrix(width, distinct.flat()), vectors)
        assert.deepStrictEqual(codes.data, halved.codes.data)
        const wrong = Array.from(codes.data).filter((code, row) => {
          const nearest = Codes.nearest(unit.data, codebook.data, width, row)
          const alone = Codes.nearest(unit.data, distinct.flat(), width, row)
          return code !== nearest.code && alone.margin >= Codes.NEAR
        })
        assert.deepStrictEqual(wrong, [])
      }).pipe(Effect.provide(layer))
  )

  it.effect("of no direction, and of equal rows alone, are the first", () =>
    Effect.gen(function*() {
      const equal = matrix(4, Array.from({ length: 9 }, () => [0.5, -0.5, 0.5, 0.5]).flat())
      const anything = Vectors.matrix(1, "vectors", 6, 4)
      assert.deepStrictEqual([...(yield* quantized(equal, anything)).codes.data], [0, 0, 0, 0, 0, 0])
      const codebook = Vectors.units(Vectors.matrix(0, "codebook", 9, 4))
      assert.deepStrictEqual([...(yield* quantized(codebook, matrix(4, new Float32Array(8)))).codes.data], [0, 0])
    }).pipe(Effect.provide(layer)))

  it.effect("leave the second of two equal rows unused, and where it was", () =>
    Effect.gen(function*() {
      const rows = Vectors.rows(Vectors.units(Vectors.matrix(0, "codebook", 6, 4)))
      const weight = matrix(4, [...rows, rows[0]!, rows[3]!].flat())
      const given = {
        state: { embedding: { weight }, cluster_size: HostTensor.zeros([weight.shape[0]], "float32") },
        vectors: matrix(4, rows.flatMap((row) => row.map((x, i) => 2 * x + 1e-3 * i)))
      }
      const { counts, state } = yield* compute(
        given,
        (inputs: { readonly state: MovingAverage.QuantizerState<number, number>; readonly vectors: Values }) =>
          MovingAverage.updateCodebook(
            inputs.state,
            MovingAverage.quantize(inputs.state.embedding.weight, inputs.vectors),
            { decay: 0.9, revival: null }
          )
      )
      assert.deepStrictEqual([...counts.data], [1, 1, 1, 1, 1, 1, 0, 0])
      const [moved, kept] = [state.embedding.weight.data.slice(0, 4), state.embedding.weight.data.slice(24, 28)]
      kept.forEach((x, i) => assert.closeTo(x, rows[0]![i]!, 1e-6))
      assert.isAbove(Math.max(...moved.map((x, i) => Math.abs(x - kept[i]!))), 1e-5)
    }).pipe(Effect.provide(layer)))
})

describe("the comparison of codes", () => {
  const given = {
    unit: [1, 0, Math.SQRT1_2, Math.SQRT1_2],
    codebook: [1, 0, 0, 1, -1, 0],
    width: 2
  }

  it("excuses a difference where two codes are as near, and names it", () => {
    const found = Codes.compare([0, 1], [0, 0], given)
    assert.deepStrictEqual([found.near, found.excused.length, found.wrong], [1, 1, []])
    assert.match(
      Codes.tell("two", found, 2),
      /^two: 2 codes, 1 of them with two nearest codes within 0\.000001, 1 of these differ; vector 1 has 1, not 0, by /
    )
  })

  it("excuses no other", () => {
    const { excused, wrong } = Codes.compare([1, 0], [0, 0], given)
    assert.deepStrictEqual([excused, wrong], [[], [{ vector: 0, ours: 1, reference: 0, margin: 2 }]])
    assert.throws(() => Codes.compare([1], [0, 0], given), RangeError)
  })
})
