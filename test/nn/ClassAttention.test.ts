import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Block from "../../src/nn/blocks/Block.ts"
import * as ClassAttention from "../../src/nn/blocks/ClassAttention.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import * as VitParams from "../../src/nn/blocks/VitParams.ts"
import * as Attention from "../../src/shapes/Attention.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { layerNorm } from "../../src/shapes/Normalization.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { patchEmbed } from "../../src/shapes/Tokens.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { eagerly } from "../parity/eager.ts"

const BATCH = 2
const HEADS = 2
const TOKENS = 5

const dims = Vit.dims({ image: 16, patch: 8, width: 8, heads: HEADS })

const network = {
  ...dims,
  hidden: 12,
  relativeRows: 12,
  depth: 3,
  absolutePositions: true,
  qkvBias: true,
  layerScale: 0.5,
  epsilon: 1e-3
} as const

const noise = <T>(spec: object, seed: number): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, ({ shape }, path) => {
    const { normal } = KeyedRandom.generator({ seed, purpose: path, epoch: 0, index: 0 })
    return HostTensor.make(shape, "float32", Float32Array.from({ length: HostTensor.size(shape) }, normal))
  })

describe("the attention of the class token", () => {
  it("sums to one, and gives the output of the block itself", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 0, max: 2 }),
        fc.constantFrom("none", "shared", "perBlock", "both"),
        (seed, place, relativePositions) => {
          const sizes = { ...network, relativePositions } as const
          const spec = VitParams.spec(VitParams.encoder(sizes), sizes, Parameter.finetuning)
          type Params = VitParams.VitParams<VitParams.Encoder<typeof sizes>>
          const { data: images } = noise<{ readonly x: Tensor<[2, 3, 16, 16]> }>(
            { x: { shape: [BATCH, 3, 16, 16], dtype: "float32" } },
            seed
          ).x
          const found = eagerly(
            {
              params: noise<Params>(spec, seed),
              images: HostTensor.make([BATCH, 3, 16, 16], "float32", images)
            },
            (given: { readonly params: Params; readonly images: Tensor<[2, 3, 16, 16]> }) => {
              const { params } = given
              const context = Vit.contextOf<2, typeof sizes>(sizes)
              const patches = patchEmbed(given.images, params.patch_embed.proj)
              const x = [
                Vit.withClassToken(params, patches),
                ...Vit.blocks(params, Vit.withClassToken(params, patches), context)
              ][place]!
              const block = params.blocks[place]!
              const { bias, k, q, v } = Block.headsOf(block.attn, layerNorm(x, block.norm1, 1e-3), {
                ...context,
                dropPath: undefined,
                bias: Vit.sharedBias(params, context.index)
              })
              return {
                attention: ClassAttention.ofImages(sizes, params, given.images, place),
                values: v,
                attended: Attention.attention(q, k, v, bias)
              }
            }
          )
          const channels = 8 / HEADS
          for (let row = 0; row < BATCH * HEADS; row++) {
            const weights = found.attention.data.subarray(row * TOKENS, (row + 1) * TOKENS)
            assert.approximately(weights.reduce((sum, weight) => sum + weight, 0), 1, 1e-5)
            for (let channel = 0; channel < channels; channel++) {
              const mixed = weights.reduce(
                (sum, weight, token) => sum + weight * found.values.data[(row * TOKENS + token) * channels + channel]!,
                0
              )
              assert.approximately(mixed, found.attended.data[row * TOKENS * channels + channel]!, 1e-4)
            }
          }
        }
      ),
      { numRuns: 20 }
    )
  })

  it("is refused for a block that is not there", () => {
    const sizes = { ...network, relativePositions: "none" } as const
    const spec = VitParams.spec(VitParams.encoder(sizes), sizes, Parameter.finetuning)
    type Params = VitParams.VitParams<VitParams.Encoder<typeof sizes>>
    const images = HostTensor.zeros([1, 3, 16, 16], "float32")
    const look = () =>
      eagerly(
        { params: noise<Params>(spec, 0), images },
        (given: { readonly params: Params; readonly images: Tensor<[1, 3, 16, 16]> }) => ({
          attention: ClassAttention.ofImages(sizes, given.params, given.images, 3)
        })
      )
    assert.throws(look, RangeError, "attention: there is no block 3, only 0 to 2")
  })
})
