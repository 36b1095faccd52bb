import { assert, describe, it } from "@effect/vitest"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import {
  FinetuneStep,
  LearnedCodes,
  Parameter,
  PixelDecoder,
  TokenizerStep,
  Vit,
  VitInference
} from "../../src/nn/index.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { infer } from "../parity/eager.ts"

const sizes = {
  ...Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 }),
  hidden: 12,
  relativeRows: 12,
  depth: 2,
  absolutePositions: true,
  relativePositions: "shared",
  qkvBias: true,
  layerScale: 0.5,
  classes: 3,
  headScale: 1
} as const

const noise = <T>(spec: object): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, ({ shape }, path) => {
    const { normal } = KeyedRandom.generator({ seed: 0, purpose: path, epoch: 0, index: 0 })
    return HostTensor.make(shape, "float32", Float32Array.from({ length: HostTensor.size(shape) }, normal))
  })

const near = (actual: Float32Array, expected: ArrayLike<number>) => {
  assert.strictEqual(actual.length, expected.length)
  actual.forEach((value, i) => assert.closeTo(value, expected[i]!, 1e-4))
}

/** The means of the four patches of each image. */
const overPatches = (target: Float32Array) =>
  Array.from({ length: 16 }, (_, i) => {
    const from = Math.floor(i / 8) * 32 + i % 8
    return [0, 8, 16, 24].reduce((sum, step) => sum + target[from + step]! / 4, 0)
  })

describe.each(["mean", "cls"] as const)("the features of a classifier of %s", (pooling) => {
  const own = { ...sizes, pooling }
  const logits = FinetuneStep.logits(own, 2)
  const weights = noise<Parameters<typeof logits.run>[0]>(logits.weights)
  const batch = noise<Parameters<typeof logits.run>[1]>(logits.batch)
  const features = (options: { readonly pooling: "mean" | "cls"; readonly finalNorm: boolean }) =>
    infer(VitInference.features(FinetuneStep.model(own), 2, options), weights, batch).features.data
  const blocks = (finalNorm: boolean) =>
    infer(VitInference.blockFeatures(FinetuneStep.model(own), 2, { blocks: 2, finalNorm }), weights, batch)

  it("behind the final norm are those of its logits", () => {
    const { bias, weight } = weights.parameters.head
    const found = features({ pooling, finalNorm: true })
    const expected = Array.from(
      { length: 6 },
      (_, i) =>
        Array.from({ length: 8 }, (__, c) => found[Math.floor(i / 3) * 8 + c]! * weight.data[i % 3 * 8 + c]!)
          .reduce((a, b) => a + b, bias.data[i % 3]!)
    )
    near(infer(logits, weights, batch).logits.data, expected)
    assert.notDeepEqual(features({ pooling, finalNorm: false }), found)
  })

  it("of the last block are those of the network, and of all patches their means", () => {
    for (const finalNorm of [true, false]) {
      const { cls, mean } = blocks(finalNorm)
      assert.deepStrictEqual([cls.length, mean.length], [2, 2])
      near(cls[1]!.data, features({ pooling: "cls", finalNorm }))
      near(mean[1]!.data, features({ pooling: "mean", finalNorm }))
      assert.notDeepEqual(mean[0]!.data, mean[1]!.data)
    }
    const { data } = infer(VitInference.patchFeatures(FinetuneStep.model(own), 2), weights, batch).target
    near(features({ pooling: "mean", finalNorm: pooling === "cls" }), overPatches(data))
  })
})

describe("a tokenizer", () => {
  const own = { ...sizes, decoderDepth: 1, codes: 5, codeWidth: 3, teacherWidth: 4 }
  const quantizer = LearnedCodes.make({ ...own, commitment: 1, kmeans: false, l2Normalize: false })
  const encode = TokenizerStep.encode(own, 2, quantizer)
  const weights = noise<Parameters<typeof encode.run>[0]>(encode.weights)
  const batch = noise<Parameters<typeof encode.run>[1]>(encode.batch)

  it("has the features of its last block, with and without the final norm", () => {
    const features = (pooling: "mean" | "cls", finalNorm: boolean) =>
      infer(TokenizerStep.features(own, 2, { pooling, finalNorm }), weights, batch).features.data
    for (const finalNorm of [true, false]) {
      const { cls, mean } = infer(TokenizerStep.blockFeatures(own, 2, { blocks: 2, finalNorm }), weights, batch)
      assert.deepStrictEqual([cls.length, mean.length], [2, 2])
      near(cls[1]!.data, features("cls", finalNorm))
      near(mean[1]!.data, features("mean", finalNorm))
      assert.notDeepEqual(mean[0]!.data, mean[1]!.data)
    }
    near(features("mean", true), overPatches(infer(TokenizerStep.patchFeatures(own, 2), weights, batch).target.data))
    assert.notDeepEqual(features("mean", false), features("mean", true))
  })

  it("ranks the two nearest codes by their squared distances", () => {
    const table = weights.quantize.embedding.weight
    const found = infer(TokenizerStep.rank(own, 2, quantizer), { ...weights, table }, batch)
    const vectors = infer(encode, weights, batch).vectors.data
    const ranked = Array.from({ length: 8 }, (_, row) =>
      Array.from({ length: 5 }, (__, code) => ({
        code,
        distance: [0, 1, 2].reduce((sum, c) => sum + (vectors[row * 3 + c]! - table.data[code * 3 + c]!) ** 2, 0)
      })).toSorted((a, b) => a.distance - b.distance))
    assert.deepStrictEqual(Array.from(found.codes.data), ranked.map(([first]) => first!.code))
    assert.deepStrictEqual(Array.from(found.seconds.data), ranked.map(([, second]) => second!.code))
    near(found.distances.data, ranked.map(([first]) => first!.distance))
    near(found.secondDistances.data, ranked.map(([, second]) => second!.distance))
    near(
      infer(TokenizerStep.choose(own, 2, quantizer), weights, batch).distances.data,
      Array.from(found.distances.data)
    )
  })
})

describe("a pixel decoder", () => {
  it("has no layer scale, as the tokenizer", () => {
    const given = { ...sizes, codes: 4, codeWidth: 3 } as const
    const names = Tree.leaves(Parameter.initialise(PixelDecoder.spec(given), 0)).map(([path]) => path)
    assert.isTrue(names.includes("blocks.1.attn.q_bias"))
    assert.isFalse(names.some((path) => path.includes("gamma")))
  })
})
